"""Compiles the CUDA texts by NVRTC and ptxas, and prints registers and spills of each kernel.

pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-nvcc-cu12 nvidia-cuda-runtime-cu12
python cuda.py TEXTS/cuda SITE_PACKAGES/nvidia [sm_90]
"""

import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile

texts, nvidia = map(pathlib.Path, sys.argv[1:3])
arch = sys.argv[3] if len(sys.argv) > 3 else "sm_90"
nvrtc = ctypes.CDLL(str(next((nvidia / "cuda_nvrtc/lib").glob("libnvrtc.so.*"))))
options = [
    f"--gpu-architecture={arch.replace('sm', 'compute')}".encode(),
    f"--include-path={nvidia / 'cuda_runtime/include'}".encode(),
]


def ptx(path):
    program = ctypes.c_void_p()
    source = path.read_bytes()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, path.name.encode(), 0, None, None)
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    kind = "PTX" if status == 0 else "ProgramLog"
    getattr(nvrtc, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{kind}")(program, text)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    if status != 0:
        sys.exit(f"{path.name}: {text.value.decode()}")
    return text.value


registers, spills = [], 0
for path in sorted(texts.glob("*.cu")):
    with tempfile.NamedTemporaryFile(suffix=".ptx") as file:
        file.write(ptx(path))
        file.flush()
        ptxas = str(nvidia / "cuda_nvcc/bin/ptxas")
        command = [ptxas, "-v", f"-arch={arch}", "-o", "/dev/null", file.name]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    used = int(re.search(r"Used (\d+) registers", report)[1])
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", report)))
    print(f"{path.stem}: {used} registers, {spilled} bytes spilled")
    registers.append(used)
    spills += spilled
print(f"{len(registers)} kernels for {arch}: {min(registers)} to {max(registers)} registers, {spills} bytes spilled")

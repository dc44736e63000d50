//! Trains on grids of processes with `mpirun`: which bits are the same on each grid, and what a
//! killed process leaves. `MPIRUN` names another launcher and its options. Linux only, since the
//! tests find processes in /proc.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, cpu};

#[path = "../src/hash.rs"]
mod hash;
use hash::Hash;

/// The grids to compare with a single process.
const GRIDS: [(u32, u32); 6] = [(2, 1), (1, 2), (4, 1), (1, 4), (2, 2), (3, 1)];
const SEED: u64 = 42;
const BATCH: u64 = 96;
const HIDDEN: u64 = 96;
/// Sizes for two steps in an epoch, and two epochs.
const SIZES: &str = "--hidden 96 --batch 96 --images 200 --epochs 2";
const STEPS: u32 = 4;

/// The numbers that a run prints at its end. With MPI's sums it also prints their error in the
/// first step.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    masks: String,
    curve: String,
    weights: String,
    roundings: Option<f32>,
}

/// Lets one run at a time have the cores, so that time limits mean something.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const TRAIN: &str = env!("CARGO_BIN_EXE_train");
const GPT: &str = env!("CARGO_BIN_EXE_gpt");

/// `mpirun` with this many processes of `binary` for each program, each with its options.
fn mpirun(binary: &str, programs: &[(u32, String)]) -> Command {
    let launcher = std::env::var("MPIRUN");
    let launcher = launcher
        .as_deref()
        .unwrap_or("mpirun --allow-run-as-root --oversubscribe");
    let mut words = launcher.split_whitespace();
    let mut command = Command::new(words.next().expect("MPIRUN names a program"));
    command.args(words);
    for (i, (processes, words)) in programs.iter().enumerate() {
        if i > 0 {
            command.arg(":");
        }
        command.args(["-n", &processes.to_string(), binary]);
        command.args(words.split_whitespace());
    }
    command
}

fn words((data, tensor): (u32, u32), more: &str) -> (u32, String) {
    (
        data * tensor,
        format!("{SIZES} --data {data} --tensor {tensor} {more}"),
    )
}

fn output(binary: &str, programs: &[(u32, String)]) -> Output {
    let _alone = alone();
    let mut command = mpirun(binary, programs);
    command
        .output()
        .unwrap_or_else(|error| panic!("mpirun: {error}; `cargo xtask test --all` installs it"))
}

/// Standard output of the programs, which must succeed.
fn text(binary: &str, programs: &[(u32, String)]) -> String {
    let output = output(binary, programs);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{programs:?}\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.into_owned()
}

fn run_all(programs: &[(u32, String)]) -> Run {
    let text = text(TRAIN, programs);
    let word = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.split(' ').next())
    };
    let hash = |name| {
        word(name)
            .unwrap_or_else(|| panic!("no {name}in {text}"))
            .to_owned()
    };
    Run {
        masks: hash("masks "),
        curve: hash("curve "),
        weights: hash("weights "),
        roundings: word("first sums: ").map(|number| number.parse().unwrap()),
    }
}

fn run(grid: (u32, u32), more: &str) -> Run {
    run_all(&[words(grid, more)])
}

/// The run of one process, with ordered sums.
static ONE: LazyLock<Run> = LazyLock::new(|| run((1, 1), ""));

/// The hash of all steps' masks from the CPU path, made as whole tensors with consecutive indices.
fn masks_on_the_cpu(seed: u64) -> String {
    let mut hash = Hash::EMPTY;
    for step in 0..STEPS {
        for (layer, p, columns) in [(0, 0.2, 784), (1, 0.5, HIDDEN)] {
            let call = DropoutCall::new(
                DropoutRate::new(p).unwrap(),
                MaskKey::layer_step(seed, layer, step),
            );
            let len = BATCH * columns;
            let mut words = vec![0; len.div_ceil(32) as usize];
            cpu::keep_mask(len, &mut words, &call).unwrap();
            words
                .iter()
                .for_each(|word| hash.update(&word.to_le_bytes()));
        }
    }
    hash.to_string()
}

#[test]
fn every_grid_has_the_masks_losses_and_weights_of_one_process() {
    println!("(1, 1): {:?}", *ONE);
    assert_eq!(ONE.masks, masks_on_the_cpu(SEED));
    for grid in GRIDS {
        let run = run(grid, "");
        println!("{grid:?} ordered: {run:?}");
        assert_eq!(run, *ONE, "{grid:?}");
    }
}

#[test]
fn mpis_sums_are_within_roundings() {
    for grid in GRIDS {
        let run = run(grid, "--sum mpi");
        println!("{grid:?} mpi: {run:?}");
        assert_eq!(run.masks, ONE.masks, "{grid:?}");
        // Two sums of n numbers differ by fewer than n roundings of the sum of magnitudes.
        let roundings = run.roundings.unwrap();
        assert!((0.0..12.0).contains(&roundings), "{grid:?}: {roundings}");
    }
}

#[test]
fn seeds_by_rank_have_other_masks() {
    // Negative control: a seed for each rank, as data-parallel frameworks often use.
    let program = |seed| (1, words((2, 1), &format!("--seed {seed}")).1);
    let run = run_all(&[program(SEED), program(SEED + 1)]);
    assert_ne!(run.masks, ONE.masks);
    assert_ne!(run.curve, ONE.curve);
    assert_ne!(masks_on_the_cpu(SEED + 1), ONE.masks);
}

#[test]
fn a_gpt_has_the_losses_and_weights_of_one_process() {
    // The loss, the curve and the weights.
    let numbers = |programs: &[(u32, String)]| {
        let text = text(GPT, programs);
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let program = |processes, seed| (processes, format!("--steps 2 --seed {seed}"));
    let one = numbers(&[program(1, SEED)]);
    println!("1: {one:?}");
    for processes in [2, 4] {
        assert_eq!(numbers(&[program(processes, SEED)]), one, "{processes}");
    }
    // Negative control: with another seed in one process, the numbers differ.
    assert_ne!(numbers(&[program(1, SEED), program(1, SEED + 1)]), one);
}

#[test]
fn a_run_goes_on_on_another_grid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run");
    let file = file.display();
    let stopped = words((2, 2), &format!("--save {file}"))
        .1
        .replace("--epochs 2", "--epochs 1");
    run_all(&[(4, stopped)]);
    assert_eq!(run((4, 1), &format!("--resume {file}")), *ONE);
    // A file of another network is refused.
    let other = output(
        TRAIN,
        &[(
            2,
            format!(
                "{} --hidden 192 --resume {file}",
                words((2, 1), "").1.replace("--hidden 96", "")
            ),
        )],
    );
    let text = String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && text.contains("saved with other settings"),
        "{text}"
    );
}

#[test]
fn a_grid_that_is_none_is_refused() {
    for (programs, part) in [
        (
            vec![(2, words((3, 1), "").1)],
            "MPI started 2: give mpirun -n 3",
        ),
        (vec![words((5, 1), "")], "--data 5 does not divide 12"),
        (
            vec![(1, words((1, 1), "").1.replace("--batch 96", "--batch 100"))],
            "give 192",
        ),
    ] {
        let output = output(TRAIN, &programs);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(part), "{text}");
    }
}

/// Linux's flag to open a file without waiting.
const O_NONBLOCK: i32 = 0o4000;

/// Kills the child process if the test ends first.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rank and process id of each process that saves to `file`.
fn processes(file: &Path) -> Vec<(u32, u32)> {
    let file = file.display().to_string();
    let rank = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<_> = words.split(|&byte| byte == 0).collect();
        let is_train = words.first()?.ends_with(b"/train");
        if !is_train || !words.contains(&file.as_bytes()) {
            return None;
        }
        let variables = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = variables.split(|&byte| byte == 0);
        variables.find_map(|variable| {
            let variable = str::from_utf8(variable).ok()?;
            let (name, rank) = variable.split_once('=')?;
            ["OMPI_COMM_WORLD_RANK", "PMI_RANK"]
                .contains(&name)
                .then(|| rank.parse().ok())?
        })
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((rank(pid)?, pid)))
        .collect()
}

#[test]
fn a_process_that_is_killed_while_it_saves_ends_all_and_spoils_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run");
    let saving = words((2, 2), &format!("--save {}", file.display())).1;
    run_all(&[(4, saving.replace("--epochs 2", "--epochs 1"))]);
    let kept = fs::read(&file).unwrap();
    for victim in [0, 3] {
        // A named pipe in place of the partial file stops its writer in the middle of the second
        // save.
        let _alone = alone();
        let partial = folder.path().join("run.partial");
        assert!(
            Command::new("mkfifo")
                .arg(&partial)
                .status()
                .unwrap()
                .success()
        );
        let resumed = format!("{saving} --resume {}", file.display());
        let mut command = mpirun(TRAIN, &[(4, resumed)]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = Killed(child.unwrap());
        // The pipe is opened without waiting for a writer, so that a missing writer is noticed.
        let mut options = fs::File::options();
        let mut pipe = options
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(&partial)
            .unwrap();
        let start = Instant::now();
        while !matches!(pipe.read(&mut [0; 100]), Ok(1..)) {
            assert!(
                child.0.try_wait().unwrap().is_none(),
                "nobody wrote to {}",
                partial.display()
            );
            assert!(start.elapsed() < Duration::from_secs(60), "nobody saves");
            sleep(Duration::from_millis(20));
        }
        let running = processes(&file);
        assert_eq!(running.len(), 4, "{running:?}");
        let pid = running.iter().find(|(rank, _)| *rank == victim).unwrap().1;
        let start = Instant::now();
        let kill = Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status();
        assert!(kill.unwrap().success());
        let status = loop {
            if let Some(status) = child.0.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "mpirun goes on");
            sleep(Duration::from_millis(20));
        };
        let seconds = start.elapsed().as_secs_f32();
        println!("rank {victim} (pid {pid}) killed: {status} after {seconds:.2} s");
        assert!(!status.success());
        while !processes(&file).is_empty() {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{:?} go on",
                processes(&file)
            );
            sleep(Duration::from_millis(20));
        }
        drop(_alone);

        assert_eq!(fs::read(&file).unwrap(), kept);
        fs::remove_file(partial).unwrap();
        let resumed = run((2, 1), &format!("--resume {}", file.display()));
        assert_eq!(resumed, *ONE);
    }
}

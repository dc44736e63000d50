//! `matrix`: the gpu tier and the auditor on the adapters of this machine, and on Debian's other software drivers, which
//! are unpacked under the target folder.

use xshell::{Shell, cmd};

use crate::Result;
use crate::adapters::{self, SOFTWARE};
use crate::command::command_line;
use crate::debian::{FOLDER, STACKS};
use crate::suite::{self, WORKSPACE};

/// Fails where a trial, a check or a mask hash does. With `--record` the audits become files of adapters/.
pub fn run(sh: &Shell, install: bool, record: bool) -> Result {
    let records = sh.create_dir(if record { "adapters" } else { FOLDER })?;
    let program = command_line(sh)?;
    adapters::ensure(sh, SOFTWARE, &program, install)?;
    let try_on = |stack: &str, variables: &[(&str, &str)]| -> Result {
        let gpu = format!("{WORKSPACE} --test gpu");
        suite::run(sh, &gpu, &[], variables)?.verdict()?;
        let record = records.join(stack).with_extension("json");
        let verify = cmd!(sh, "{program} verify --all --json {record}");
        Ok(verify.envs(variables.iter().copied()).run()?)
    };
    try_on("own", &[])?;
    for stack in STACKS.iter().filter(|_| install) {
        let [manifest, libraries] = &stack.unpack(sh)?;
        let vulkan = [("WGPU_BACKEND", "vulkan"), ("REQUIRE_GPU", "vulkan")];
        let own = [manifest, libraries].map(|(name, value)| (*name, &**value));
        try_on(stack.name, &[own, vulkan].concat())?;
    }
    Ok(())
}

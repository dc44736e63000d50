//! `matrix`: the gpu tier and the auditor on the adapters of this machine, and on Debian's other software drivers, which
//! are unpacked under the target folder.

use std::fs;
use std::process::Command;

use crate::Result;
use crate::adapters::{self, SOFTWARE};
use crate::command::{command_line, root, run as run_command};
use crate::debian::{FOLDER, STACKS};
use crate::suite;

/// Fails where a trial, a check or a mask hash does. With `--record` the audits become files of adapters/.
pub fn run(install: bool, record: bool) -> Result {
    let root = root()?;
    let folder = root.join(FOLDER);
    let records = match record {
        true => root.join("adapters"),
        false => folder,
    };
    fs::create_dir_all(&records)?;
    adapters::ensure(SOFTWARE, &command_line()?, install)?;
    let try_on = |stack: &str, variables: &[(&str, &str)]| -> Result {
        suite::run(&["--test", "gpu"].map(String::from), variables)?.verdict()?;
        let mut verify = Command::new(command_line()?);
        verify
            .args(["verify", "--all", "--json"])
            .arg(records.join(stack).with_extension("json"));
        run_command(verify.envs(variables.iter().copied()))
    };
    try_on("own", &[])?;
    for stack in STACKS.iter().filter(|_| install) {
        let mut variables = stack.unpack(&root)?.to_vec();
        variables.push(("WGPU_BACKEND", "vulkan".to_owned()));
        variables.push(("REQUIRE_GPU", "vulkan".to_owned()));
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        try_on(stack.name, &variables)?;
    }
    Ok(())
}

//! `compilers`: other people's compilers and validators read the text of every kernel and of the functions
//! for others' kernels, a browser's compiler all other WGSL of the repository too, and hosts in other
//! languages run some. Each first has to refuse something broken: a
//! judge that accepts everything fails.

mod dawn;
mod functions;
pub mod gpus;
mod hosts;
mod kernels;
mod others;
mod tools;
mod translations;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::command::{self, root};
use crate::table::table;
use kernels::Kernel;
use tools::Tools;

/// Where texts lie that are no kernels of the library.
const OTHERS: &str = "others";

/// The findings of one compiler.
struct Row {
    compiler: String,
    texts: usize,
    /// Each begins with the name of a text.
    complaints: Vec<String>,
    /// The time, summed over processes that ran side by side.
    time: Duration,
}

/// Fails where a text is refused.
pub fn run(args: impl Iterator<Item = String>) -> Result {
    let mut install = true;
    for arg in args {
        match arg.as_str() {
            "--no-install" => install = false,
            _ => return Err(format!("`compilers` has no option `{arg}`").into()),
        }
    }
    let root = root()?;
    let folder = root.join("target/compilers");
    let texts = folder.join("wgsl");
    fs::create_dir_all(&folder)?;
    let tools = Tools::find(&root, &folder, install)?;

    let _ = fs::remove_dir_all(&texts);
    let mut write = Command::new(command::command_line()?);
    command::run(write.args(["wgsl", "--output-dir"]).arg(&texts))?;
    functions::write(&texts, &root)?;
    others::write(&texts.join(OTHERS), &root, &functions::functions("")?)?;
    let mut kernels = Kernel::read(&texts)?;
    kernels.retain(|kernel| kernel.is_portable() || kernel.typical);

    let mut rows = vec![dawn::tint(&tools, &texts, &kernels)?];
    rows.extend(translations::judge(&tools, &texts, &kernels)?);
    if install {
        rows.extend(gpus::judge(&root, &texts, &kernels)?);
    }
    rows.push(functions::imported(&root, &folder)?);
    match dawn::masks(&tools, &texts, &root)? {
        Some(row) => rows.push(row),
        None => println!("without results of Dawn: SwiftShader was neither there nor fetched"),
    }
    rows.extend(hosts::masks(&tools, &root)?);
    fs::remove_dir_all(&texts)?;
    println!("\n{}", summary(&rows));
    verdict(&rows)
}

/// Runs `work` on a thread for each core. The threads share what is left to do.
fn on_each_core(work: impl Fn() -> std::result::Result<(), String> + Copy + Send) -> Result {
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(())
}

fn summary(rows: &[Row]) -> String {
    let mut cells = vec![
        ["compiler", "texts", "ok", "seconds"]
            .map(String::from)
            .to_vec(),
    ];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.compiler.clone(),
            row.texts.to_string(),
            row.texts.saturating_sub(row.complaints.len()).to_string(),
            format!("{:.0}", row.time.as_secs_f64()),
        ]
    }));
    table(&cells, 3)
}

/// How many complaints are told in full.
const TOLD: usize = 3;

fn verdict(rows: &[Row]) -> Result {
    let mut wrong = String::new();
    for row in rows {
        if row.texts == 0 {
            wrong += &format!("{} read nothing\n", row.compiler);
        }
        if !row.complaints.is_empty() {
            let count = row.complaints.len();
            wrong += &format!("{} has {count} complaints, such as\n", row.compiler);
        }
        for complaint in row.complaints.iter().take(TOLD) {
            wrong += &format!("{complaint}\n");
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(texts: usize, complaints: &[&str]) -> Row {
        Row {
            compiler: "tint".into(),
            texts,
            complaints: complaints.iter().map(ToString::to_string).collect(),
            time: Duration::from_secs(2),
        }
    }

    #[test]
    fn a_complaint_and_a_compiler_that_read_nothing_are_errors() {
        assert!(verdict(&[row(3, &[])]).is_ok());
        let error = verdict(&[row(3, &["a.wgsl: bad"])]).unwrap_err();
        assert!(error.to_string().contains("a.wgsl: bad"), "{error}");
        assert!(verdict(&[row(3, &[]), row(0, &[])]).is_err());
    }

    #[test]
    fn what_was_refused_is_not_ok() {
        let summary = summary(&[row(3, &["a.wgsl: bad"])]);
        assert!(
            summary.contains("tint          3   2        2"),
            "{summary}"
        );
    }
}

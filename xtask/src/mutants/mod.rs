//! `mutants`: does some test notice each small change of the shaders?
//!
//! A copy of the tree under the target folder is built, which reads its shaders when its tests run. Each mutant is a
//! changed file and a run up to the first failure.

mod rules;
mod runner;

use std::collections::BTreeMap;

use xshell::{Shell, cmd};

use crate::Result;
use rules::Mutant;
use runner::{Run, Tests};

/// Mutants that change no result that a test could see: the file, the line above, the line before and after, the reason.
const EQUIVALENT: &str = include_str!("../../equivalent.tsv");

/// Mutants that may survive for want of a test, of those that change a result.
const SURVIVORS_PERCENT: usize = 5;

/// Columns of the tables, in the order of [`column()`].
const ENDS: [&str; 5] = ["killed", "not valid", "timed out", "survived", "equivalent"];

/// A shader and its mutants.
struct Shader {
    name: String,
    text: String,
    mutants: Vec<Mutant>,
}

/// Tries the mutants of the shaders `only`, or of all; with `list` it prints them and runs nothing.
pub fn run(sh: &Shell, list: bool, only: &[String]) -> Result {
    let shaders = shaders(sh, only)?;
    if list {
        for shader in &shaders {
            let mutants = shader.mutants.iter();
            mutants.for_each(|mutant| println!("{}", shader.describe(mutant)));
        }
        return Ok(());
    }
    let mut tests = Tests::build(sh)?;
    let mut wrong = stale(&shaders, only);
    let mut counts: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    for shader in &shaders {
        let path = tests.tree.join("shaders").join(&shader.name);
        for mutant in &shader.mutants {
            sh.write_file(&path, mutant.apply(&shader.text))?;
            let run = tests.try_shaders()?;
            let reason =
                equivalents().find_map(|entry| shader.is(&entry, mutant).then(|| entry[4]));
            let described = shader.describe(mutant);
            if reason.is_some() && !matches!(run, Run::Passed) {
                let not = "listed as equivalent, but it does not survive";
                wrong.push(format!("{not}: {described}"));
            }
            let (column, end) = column(&run, reason);
            println!("{described}  {end}");
            for row in [&shader.name, mutant.kind, "all"] {
                counts.entry(row.to_owned()).or_default()[column] += 1;
            }
        }
        sh.write_file(&path, &shader.text)?;
    }
    conclude(&counts, &wrong)
}

/// The column that a mutant counts in, and how it ended in words.
fn column(run: &Run, reason: Option<&str>) -> (usize, String) {
    match (run, reason) {
        (Run::Failed(test, false), _) => (0, format!("killed by {test}")),
        (Run::Failed(_, true), _) => (1, "not valid".into()),
        (Run::TimedOut, _) => (2, "timed out".into()),
        (Run::Passed, None) => (3, "SURVIVED".into()),
        (Run::Passed, Some(reason)) => (4, format!("equivalent: {reason}")),
    }
}

/// Prints the counts, a row for each file and kind, and the share of the killed.
///
/// # Errors
///
/// If too many survived or anything is `wrong` besides.
fn conclude(counts: &BTreeMap<String, [usize; 5]>, wrong: &[String]) -> Result {
    let heads = ENDS.map(|end| format!("{end:>12}")).concat();
    println!("\n{:<36} {:>9}{heads}", "file or kind", "mutants");
    for (name, counts) in counts {
        let numbers = counts.map(|count| format!("{count:>12}")).concat();
        println!("{name:<36} {:>9}{numbers}", counts.iter().sum::<usize>());
    }
    let [killed, _, timed_out, survived, _] = counts.get("all").copied().unwrap_or_default();
    let counted = killed + timed_out + survived;
    let percent = 100.0 * (counted - survived) as f64 / counted as f64;
    println!("{percent:.1} % killed of the {counted} that compile and change a result");
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    if 100 * survived > SURVIVORS_PERCENT * counted {
        return Err(format!("less than {} % killed", 100 - SURVIVORS_PERCENT).into());
    }
    Ok(())
}

/// The shaders `only`, or all, in alphabetical order.
fn shaders(sh: &Shell, only: &[String]) -> Result<Vec<Shader>> {
    let files = cmd!(sh, "git ls-files -co --exclude-standard shaders/*/*.wgsl").read()?;
    let names = files
        .lines()
        .filter_map(|file| file.strip_prefix("shaders/"));
    let names = names.filter(|name| only.is_empty() || only.iter().any(|only| only == name));
    let shaders: Vec<_> = names
        .map(|name| {
            let text = sh.read_file(format!("shaders/{name}"))?;
            let (name, mutants) = (name.to_owned(), rules::mutants(&text));
            Ok(Shader {
                name,
                text,
                mutants,
            })
        })
        .collect::<Result<_>>()?;
    if shaders.len() < only.len() {
        return Err(format!("shaders/ has not all of {}", only.join(", ")).into());
    }
    Ok(shaders)
}

impl Shader {
    fn describe(&self, mutant: &Mutant) -> String {
        let place = format!("{}:{}", self.name, mutant.line);
        let to = match mutant.to.as_str() {
            "" => "nothing",
            to => to.trim_start(),
        };
        format!("{place:<27} {:<10}  {} -> {to}", mutant.kind, mutant.from)
    }

    /// Returns true if this mutant is the one of an entry of the list.
    fn is(&self, entry: &[&str; 5], mutant: &Mutant) -> bool {
        entry[0] == self.name && entry[1..4] == mutant.lines(&self.text)
    }
}

/// The entries of the list.
fn equivalents() -> impl Iterator<Item = [&'static str; 5]> {
    let lines = EQUIVALENT.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut cells = line.split('\t');
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    })
}

/// Stale entries: listed as equivalent, but no longer generated.
fn stale(shaders: &[Shader], only: &[String]) -> Vec<String> {
    let is_mutant = |entry: &[&str; 5]| {
        let mut shaders = shaders.iter();
        shaders.any(|shader| shader.mutants.iter().any(|mutant| shader.is(entry, mutant)))
    };
    let listed =
        equivalents().filter(|[file, ..]| only.is_empty() || only.iter().any(|o| o == file));
    let stale = listed.filter(|entry| !is_mutant(entry));
    let line = |[file, _, _, line, ..]: [&str; 5]| {
        format!("listed as equivalent, but no mutant: {file}: {line}")
    };
    stale.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_equivalent_is_a_mutant() {
        let shaders = shaders(&crate::command::shell().unwrap(), &[]).unwrap();
        assert_eq!(stale(&shaders, &[]), [""; 0]);
        assert!(equivalents().all(|entry| !entry[4].is_empty()));
    }

    #[test]
    fn one_survivor_in_twenty_is_the_most() {
        let counts =
            |survived| BTreeMap::from([("all".to_owned(), [20 - survived, 1, 0, survived, 1])]);
        assert!(conclude(&counts(1), &[]).is_ok());
        assert!(conclude(&counts(2), &[]).is_err());
        assert!(conclude(&counts(0), &["a stale entry".to_owned()]).is_err());
    }
}

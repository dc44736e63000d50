//! `mutants`: does some test notice each small change of the shaders?
//!
//! A copy of the tree under the target folder is built, which reads its shaders when its tests run. Each mutant is a
//! changed file and a run up to the first failure.

mod rules;
mod runner;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::command::{root, table};
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
pub fn run(list: bool, only: &[String]) -> Result {
    let root = root()?;
    let shaders = shaders(&root.join("shaders"), only)?;
    if list {
        for shader in &shaders {
            let mutants = shader.mutants.iter();
            mutants.for_each(|mutant| println!("{}", shader.describe(mutant)));
        }
        return Ok(());
    }
    let mut tests = Tests::build(&root)?;
    let mut wrong = stale(&shaders, only);
    let mut counts: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    for shader in &shaders {
        let path = tests.tree.join("shaders").join(&shader.name);
        for mutant in &shader.mutants {
            fs::write(&path, mutant.apply(&shader.text))?;
            let run = tests.try_shaders()?;
            let reason =
                equivalents().find_map(|entry| shader.is(&entry, mutant).then(|| entry[4]));
            let described = shader.describe(mutant);
            if reason.is_some() && !matches!(run, Run::Passed) {
                wrong.push(format!(
                    "listed as equivalent, but it does not survive: {described}"
                ));
            }
            let (column, end) = column(&run, reason);
            println!("{described}  {end}");
            for row in [&shader.name, mutant.kind, "all"] {
                counts.entry(row.to_owned()).or_default()[column] += 1;
            }
        }
        fs::write(&path, &shader.text)?;
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
    let mut rows = vec![["file or kind", "mutants"].map(String::from).to_vec()];
    rows[0].extend(ENDS.map(String::from));
    rows.extend(counts.iter().map(|(name, counts)| {
        let numbers = [counts.iter().sum()].into_iter().chain(*counts);
        let numbers = numbers.map(|number: usize| number.to_string());
        [name.clone()].into_iter().chain(numbers).collect()
    }));
    println!("\n{}", table(&rows, ENDS.len() + 1));
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
fn shaders(folder: &Path, only: &[String]) -> Result<Vec<Shader>> {
    let mut shaders = Vec::new();
    for part in fs::read_dir(folder)? {
        let part = part?;
        if !part.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(part.path())? {
            let file = file?;
            let name = format!(
                "{}/{}",
                part.file_name().display(),
                file.file_name().display()
            );
            if only.is_empty() || only.contains(&name) {
                let text = fs::read_to_string(file.path())?;
                let mutants = rules::mutants(&text);
                shaders.push(Shader {
                    name,
                    text,
                    mutants,
                });
            }
        }
    }
    if shaders.len() < only.len() {
        return Err(format!("shaders/ has not all of {}", only.join(", ")).into());
    }
    shaders.sort_by(|a, b| a.name.cmp(&b.name));
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
    equivalents()
        .filter(|entry| only.is_empty() || only.iter().any(|only| only == entry[0]))
        .filter(|entry| !is_mutant(entry))
        .map(|entry| {
            format!(
                "listed as equivalent, but no mutant: {}: {}",
                entry[0], entry[3]
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_equivalent_is_a_mutant() {
        let shaders = shaders(&root().unwrap().join("shaders"), &[]).unwrap();
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

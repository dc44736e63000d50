//! Results of mutants, and the tables of them.

use std::io::{self, Write};

use crate::Result;
use crate::table::table;

/// Mutants that may survive for want of a test, of those that change a result.
const SURVIVORS_PERCENT: usize = 5;

/// How a mutant ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// The first test that failed.
    Killed(String),
    /// It does not compile.
    Invalid,
    TimedOut,
    Survived,
    /// Survived, as the list says it must, for this reason.
    Equivalent(&'static str),
}

impl Fate {
    pub fn describe(&self) -> String {
        match self {
            Self::Killed(test) => format!("killed by {test}"),
            Self::Invalid => "not valid".into(),
            Self::TimedOut => "timed out".into(),
            Self::Survived => "SURVIVED".into(),
            Self::Equivalent(reason) => format!("equivalent: {reason}"),
        }
    }

    /// Its column of the tables.
    fn column(&self) -> usize {
        match self {
            Self::Killed(_) => 0,
            Self::Invalid => 1,
            Self::TimedOut => 2,
            Self::Survived => 3,
            Self::Equivalent(_) => 4,
        }
    }
}

/// A mutant that was tried.
pub struct Tried {
    pub file: String,
    pub kind: String,
    pub fate: Fate,
}

/// Prints the tables and the share of the killed.
///
/// # Errors
///
/// If too many survived or anything is `wrong` besides.
pub fn conclude(tried: &[Tried], wrong: &[String]) -> Result {
    println!("\n{}", counts_table("kind", tried, |tried| &tried.kind));
    println!("{}", counts_table("file", tried, |tried| &tried.file));
    let [killed, _, timed_out, survived, _] = counts(tried.iter());
    let counted = killed + timed_out + survived;
    let percent = 100.0 * (counted - survived) as f64 / counted as f64;
    println!("{percent:.1} % killed of the {counted} that compile and change a result");
    io::stdout().flush()?;
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    if 100 * survived > SURVIVORS_PERCENT * counted {
        return Err(format!("less than {} % killed", 100 - SURVIVORS_PERCENT).into());
    }
    Ok(())
}

fn counts<'a>(tried: impl Iterator<Item = &'a Tried>) -> [usize; 5] {
    let mut counts = [0; 5];
    for Tried { fate, .. } in tried {
        counts[fate.column()] += 1;
    }
    counts
}

/// Counts by what `of` says of a mutant.
fn counts_table(head: &str, tried: &[Tried], of: fn(&Tried) -> &str) -> String {
    let mut names: Vec<_> = tried.iter().map(of).collect();
    names.sort_unstable();
    names.dedup();
    let row = |name: &str, counts: [usize; 5]| {
        let total = counts.iter().sum::<usize>();
        let numbers = [total].into_iter().chain(counts).map(|n| n.to_string());
        [name.to_owned()].into_iter().chain(numbers).collect()
    };
    let heads = [
        head,
        "mutants",
        "killed",
        "not valid",
        "timed out",
        "survived",
        "equivalent",
    ];
    let mut cells = vec![heads.map(String::from).to_vec()];
    for name in names {
        cells.push(row(
            name,
            counts(tried.iter().filter(|tried| of(tried) == name)),
        ));
    }
    cells.push(row("all", counts(tried.iter())));
    table(&cells, heads.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_survivor_in_twenty_is_the_most() {
        let tried = |survived: usize| -> Vec<_> {
            let fates = (0..20).map(|i| match i < survived {
                true => Fate::Survived,
                false => Fate::Killed("a test".into()),
            });
            fates
                .chain([Fate::Equivalent("a reason"), Fate::Invalid])
                .map(|fate| Tried {
                    file: "mask.wgsl".into(),
                    kind: "lane".into(),
                    fate,
                })
                .collect()
        };
        assert!(conclude(&tried(1), &[]).is_ok());
        assert!(conclude(&tried(2), &[]).is_err());
        assert!(conclude(&tried(0), &["a stale entry".to_owned()]).is_err());
        let table = counts_table("file", &tried(1), |tried| &tried.file);
        assert!(table.contains("mask.wgsl       22      19"), "{table}");
    }
}

//! The options that follow a command's name.

use crate::Result;

/// The options of `test` and `bench`.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// True if missing packages may be installed.
    pub install: bool,
    /// True if the crate for Burn and the training by MPI are meant too.
    pub all: bool,
    /// The arguments behind `--`, for the program that the command starts.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads everything after the command's name.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            install: true,
            all: false,
            rest: Vec::new(),
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--no-install" => options.install = false,
                "--all" => options.all = true,
                "--" => options.rest = args.by_ref().collect(),
                _ => {
                    return Err(format!(
                        "`{arg}` is no option here; what another program should get goes after `--`"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }

    /// An error if anything was given to a command that takes nothing.
    pub fn refuse_for(&self, command: &str) -> Result {
        if self.install && !self.all && self.rest.is_empty() {
            Ok(())
        } else {
            Err(format!("`{command}` takes no options").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(args: &[&str]) -> crate::Result<Options> {
        Options::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn everything_after_two_dashes_is_passed_on() {
        let options = parse(&["--no-install", "--", "--test", "gpu", "--", "--all"]).unwrap();
        assert!(!options.install);
        assert!(!options.all);
        assert_eq!(options.rest, ["--test", "gpu", "--", "--all"]);
    }

    #[test]
    fn an_unknown_option_is_refused_by_name() {
        let error = parse(&["--sizes", "1024"]).unwrap_err().to_string();
        assert!(error.contains("`--sizes`"), "{error}");
    }

    #[test]
    fn a_command_without_options_refuses_them() {
        assert!(parse(&[]).unwrap().refuse_for("ci").is_ok());
        assert!(parse(&["--no-install"]).unwrap().refuse_for("ci").is_err());
        assert!(parse(&["--all"]).unwrap().refuse_for("ci").is_err());
        assert!(parse(&["--", "x"]).unwrap().refuse_for("ci").is_err());
    }
}

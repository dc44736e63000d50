//! The options of a call: one by one, or a whole call as an error message or a report prints it.

use wgpu_dropout::{DropoutCall, DropoutKind, DropoutRate, MaskKey};

use crate::number;

#[derive(Clone, Debug, clap::Args)]
pub struct CallArgs {
    /// Probability of dropping an element
    #[arg(
        long,
        value_name = "P",
        value_parser = number::rate,
        allow_hyphen_values = true,
        required_unless_present = "call"
    )]
    p: Option<DropoutRate>,
    /// The seed of the run
    #[arg(
        long,
        value_name = "S",
        value_parser = seed_from_0,
        allow_hyphen_values = true,
        required_unless_present = "call"
    )]
    seed: Option<Seed>,
    /// The layer and the step, usually packed as layer in the high and step in the low 32 bits
    #[arg(
        long,
        value_name = "T",
        value_parser = number::integer::<u64>,
        allow_hyphen_values = true,
        required_unless_present = "call"
    )]
    stream: Option<u64>,
    /// Fold a number into the key, such as the use of a layer in a step or the member of an
    /// ensemble; several are folded in from left to right
    #[arg(
        long,
        value_name = "N",
        value_parser = foldable,
        allow_hyphen_values = true
    )]
    fold_in: Vec<u64>,
    /// Mask index of the first element
    #[arg(
        long,
        value_name = "N",
        value_parser = number::integer::<u64>,
        allow_hyphen_values = true,
        default_value = "0"
    )]
    origin: u64,
    /// --p, --seed, --stream and --origin in one: "p=0.1 seed=42 stream=0x300000007 origin=0"
    #[arg(long, value_name = "CALL", conflicts_with_all = ["p", "seed", "stream", "origin"])]
    call: Option<DropoutCall>,
    /// The kind of dropout; it replaces the kind in --call
    ///
    /// Adapters and the CPU give the same bytes for inverted and classic. For alpha an adapter may
    /// fuse a product and a sum, and differ by a rounding of each. For gaussian they differ by at
    /// most
    /// |x| * sqrt(p / (1 - p)) * 2^-8
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Kept elements are multiplied by 1 / (1 - p)
    Inverted,
    /// Kept elements are unchanged
    Classic,
    /// Alpha dropout, for SELU
    Alpha,
    /// Each element is multiplied by normal noise of mean 1 and variance p / (1 - p)
    Gaussian,
}

/// Parses a number that any key can fold in.
fn foldable(text: &str) -> Result<u64, String> {
    let n = number::integer(text)?;
    let folded = MaskKey::new(0, 0).fold_in(n);
    folded.map(|_| n).map_err(|error| error.to_string())
}

/// A seed. The command decides whether it may be negative.
#[derive(Clone, Copy, Debug)]
pub struct Seed(i128);

fn seed_from_0(text: &str) -> Result<Seed, String> {
    number::integer::<u64>(text).map(|seed| Seed(seed.into()))
}

/// Parses a seed of this library or of another framework.
pub fn any_seed(text: &str) -> Result<Seed, String> {
    match text.starts_with('-') {
        true => number::signed(text).map(|seed| Seed(seed.into())),
        false => seed_from_0(text),
    }
}

impl CallArgs {
    /// The rate and the seed, which another framework's mask takes from the call's options.
    pub fn rate_and_seed(&self) -> (Option<DropoutRate>, Option<i128>) {
        (self.p, self.seed.map(|Seed(seed)| seed))
    }

    /// The call. Its mask indices have not been checked.
    pub fn call(&self) -> DropoutCall {
        let mut call = match *self {
            Self {
                p: Some(rate),
                seed: Some(Seed(seed)),
                stream: Some(stream),
                origin,
                call: None,
                ..
            } => {
                let seed = u64::try_from(seed).expect("the parser, or `mask`, takes no other");
                DropoutCall::new(rate, MaskKey::new(seed, stream)).with_origin(origin)
            }
            Self {
                call: Some(call), ..
            } => call,
            _ => unreachable!("clap requires either --call or the three other options"),
        };
        for &n in &self.fold_in {
            call.key = call.key.fold_in(n).expect("the parser takes no other");
        }
        if let Some(kind) = self.kind {
            call.kind = match kind {
                Kind::Inverted => DropoutKind::Inverted,
                Kind::Classic => DropoutKind::Classic,
                Kind::Alpha => DropoutKind::Alpha,
                Kind::Gaussian => DropoutKind::Gaussian,
            };
        }
        call
    }
}

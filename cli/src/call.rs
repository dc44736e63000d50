//! The options that say which mask: one by one, or a whole call as a bug report has it.

use anyhow::Result;
use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey};

use crate::number;

#[derive(Clone, Debug, clap::Args)]
pub struct CallArgs {
    /// Probability of dropping an element
    #[arg(
        long,
        value_name = "P",
        value_parser = number::rate,
        allow_negative_numbers = true,
        required_unless_present = "call"
    )]
    p: Option<DropoutRate>,
    /// Which run
    #[arg(
        long,
        value_name = "S",
        value_parser = number::integer::<u64>,
        required_unless_present = "call"
    )]
    seed: Option<u64>,
    /// Which layer at which step: the usual packing is layer in the high, step in the low 32 bits
    #[arg(
        long,
        value_name = "T",
        value_parser = number::integer::<u64>,
        required_unless_present = "call"
    )]
    stream: Option<u64>,
    /// Mask index of the first element
    #[arg(long, value_name = "N", value_parser = number::integer::<u64>, default_value = "0")]
    origin: u64,
    /// All four in one: "p=0.1 seed=42 stream=0x300000007 origin=0"
    #[arg(long, value_name = "CALL", conflicts_with_all = ["p", "seed", "stream", "origin"])]
    call: Option<DropoutCall>,
}

impl CallArgs {
    /// The call for `len` elements.
    ///
    /// # Errors
    ///
    /// If the last element's mask index would pass 2^64 - 1: said before the first byte is
    /// written.
    pub fn for_len(&self, len: u64) -> Result<DropoutCall> {
        let call = match *self {
            Self {
                p: Some(rate),
                seed: Some(seed),
                stream: Some(stream),
                origin,
                call: None,
            } => DropoutCall::new(rate, MaskKey::new(seed, stream)).with_origin(origin),
            Self {
                call: Some(call), ..
            } => call,
            _ => unreachable!("clap lets neither half a call nor two pass"),
        };
        call.check_indices(len)?;
        Ok(call)
    }
}

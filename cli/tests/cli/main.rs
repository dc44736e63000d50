//! The command line as users run it. The CPU engine needs no adapter; `gpu` compares adapters with
//! it.

mod apply;
mod bad_input;
mod bench;
mod bench_files;
mod closed;
mod command;
mod compare;
mod files;
mod gpu;
mod help;
mod kinds;
mod layout;
mod mask;
mod params;
mod rule;
mod terminal;
mod vectors;
mod verify;
mod wgsl;
mod words;

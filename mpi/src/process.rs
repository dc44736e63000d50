//! A process besides its training: it joins MPI's world, opens an adapter and ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::{Context, Result};
use mpi::Threading;
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use crate::device;

/// Runs `program` in the world. An error ends all processes, since the others would wait for this
/// one forever.
pub fn run(program: impl FnOnce(&SimpleCommunicator) -> Result<()>) -> ExitCode {
    let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled) else {
        eprintln!("error: MPI is already initialised");
        return ExitCode::FAILURE;
    };
    let world = universe.world();
    match catch_unwind(AssertUnwindSafe(|| program(&world))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: rank {}: {error:#}", world.rank());
            world.abort(1)
        }
        Err(_) => world.abort(101),
    }
}

/// An adapter of the model that the environment chooses, so that all processes compute alike.
/// Processes of one machine take turns among its adapters.
pub fn adapter(world: &SimpleCommunicator) -> Result<wgpu::Adapter> {
    let local_rank = world.split_shared(world.rank()).rank() as usize;
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let chosen = pollster::block_on(device::choose(&instance))?.get_info();
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut alike: Vec<_> = adapters
        .into_iter()
        .filter(|adapter| {
            let info = adapter.get_info();
            (info.backend, info.name) == (chosen.backend, chosen.name.clone())
        })
        .collect();
    let turn = local_rank % alike.len().max(1);
    alike.truncate(turn + 1);
    alike.pop().context("the adapter is gone: start again")
}

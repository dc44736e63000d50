//! Dropout by the CPU path, and the launches that a device needs for the same results.

use serde_json::{Value, json};
use wgpu_dropout::launch::{LaunchLimits, launches};
use wgpu_dropout::{Direction, DropoutCall, DropoutRate, Element, MaskKey, MaskLayout, cpu, half};

use crate::Result;

/// Prints a JSON array: for each case the input, the results and the launches, bytes in little-endian words.
pub fn print() -> Result {
    use MaskLayout as L;
    let mut cases = Vec::new();
    for (name, layout) in [
        ("one", L::linear(1)),
        ("linear", L::linear(40_000)),
        ("odd", L::linear(4099).offset((1 << 33) + 5)?),
        ("rows", L::time_locked_batch_first(&[3, 5, 64])?),
        ("short rows", L::time_locked_batch_first(&[3, 5, 7])?),
        ("runs", L::feature_channels_first(&[2, 3, 40, 9])?),
        ("channels last", L::feature_channels_last(&[2, 40, 9, 3])?),
        ("samples", L::drop_path(&[5, 333])?),
        ("transposed", L::elementwise(&[48, 31])?.permuted(&[1, 0])?),
    ] {
        cases.push(case::<f32>(name, &layout)?);
        cases.push(case::<half::f16>(name, &layout)?);
        cases.push(case::<half::bf16>(name, &layout)?);
    }
    println!("{}", Value::from(cases));
    Ok(())
}

fn case<T: Element>(name: &str, layout: &MaskLayout) -> Result<Value> {
    // Numbers of both signs from 1/16 to 16, none like another nearby.
    let value = |e: u64| {
        let random = (e as u32 + 1).wrapping_mul(0x9e37_79b9);
        let (sign, exponent) = (random & 0x8000_0000, 123 + random % 8);
        let fraction = (random >> 8) % (1 << 23);
        T::from_f32(f32::from_bits(sign | (exponent << 23) | fraction))
    };
    let input: Vec<T> = (0..layout.len()).map(value).collect();
    let mut output = input.clone();
    let call = DropoutCall::new(DropoutRate::new(0.3)?, MaskKey::layer_step(42, 3, 7));
    cpu::apply(Direction::Forward, layout, &mut *output, &call)?;
    let (direction, limits) = (Direction::Forward, LaunchLimits::default());
    let launches = launches(layout, T::TYPE, &call, direction, limits)?;
    let launches = launches.map(|launch| {
        let size = size_of::<T>() as u64;
        let params = launch
            .params
            .iter()
            .flat_map(|wide| [*wide as u32, (*wide >> 32) as u32]);
        json!({
            "code": launch.kernel.text(launch.way),
            "entry_point": launch.kernel.entry_point(),
            "offset": launch.elements.start * size,
            "size": ((launch.elements.end - launch.elements.start) * size).next_multiple_of(4),
            "workgroups": launch.workgroups,
            "params": params.collect::<Vec<_>>(),
        })
    });
    Ok(json!({
        "name": format!("{name}, {}", T::TYPE),
        "launches": launches.collect::<Vec<_>>(),
        "input": words(&input),
        "output": words(&output),
    }))
}

/// Elements in words, the last one filled up with 0.
fn words<T: Element>(elements: &[T]) -> Vec<u32> {
    let mut bytes = bytemuck::cast_slice::<T, u8>(elements).to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let words = bytes.chunks_exact(4);
    words
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect()
}

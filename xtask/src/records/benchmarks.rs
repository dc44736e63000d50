//! The page of benchmarks, from a record of `wgpu-dropout bench --json`.

use std::path::Path;

use serde_json::Value;

use super::{code, day, line, read};
use crate::Result;

/// The record that the page quotes.
const RECORD: &str = "benches/records/2026-11-22-vulkan-llvmpipe.json";

/// The form of records that is understood here.
const VERSION: u64 = 1;

pub fn page_in(root: &Path) -> Result<String> {
    page(&read(root, RECORD)?)
}

/// Ratios alone: a software adapter's speed is the CPU's, and never the library's.
fn page(record: &Value) -> Result<String> {
    if record["version"] != VERSION {
        return Err(format!("{RECORD} is not of version {VERSION}").into());
    }
    let adapter = &record["adapter"];
    let is_software = adapter["software"]
        .as_bool()
        .ok_or("a record of no adapter")?;
    let software = if is_software {
        ", a SOFTWARE adapter: it runs on the CPU and says nothing about a GPU's speed"
    } else {
        ""
    };
    Ok(format!(
        "\
# What dropout costs
Here is {adapter}, {driver}{software}. Its CPU is {cpu}, {threads} threads. {types}, {call}.

Time over that of a copy of the same bytes in the same place, the copy kernel or memcpy on as many threads: 1.00 is the best
there can be. The rand loop is what one writes in a minute, `random_bool` of rand's `SmallRng` an element.

{table}
{variants}{recording}

From [`{RECORD}`](../{RECORD})
of {date}, library {version}, by `cargo xtask records`. `cargo xtask bench` measures your adapter.
",
        driver = code([&adapter["driver_info"]], "", RECORD)?,
        adapter = code([&adapter["backend"], &adapter["name"]], "/", RECORD)?,
        cpu = code([&record["machine"]["cpu"]], "", RECORD)?,
        threads = threads(record)?,
        types = types(record)?.join(", "),
        call = code([&record["call"]], "", RECORD)?,
        table = table(record)?,
        variants = variants(record)?,
        recording = recording(record)?,
        date = day(record, RECORD)?,
        version = code([&record["library"]["version"]], "", RECORD)?,
    ))
}

/// Where something is done, as records say it.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    place: &'static str,
    /// Threads of the CPU path.
    threads: Option<u64>,
}

const F32: &str = "f32";

const GPU: Place = Place {
    place: "gpu",
    threads: None,
};
const RAND_LOOP: Place = Place {
    place: "rand_loop",
    threads: None,
};

const fn cpu(threads: u64) -> Place {
    Place {
        place: "cpu",
        threads: Some(threads),
    }
}

/// A row for each operation and type, a column for each size.
fn table(record: &Value) -> Result<String> {
    let threads = threads(record)?;
    let cpu_path = format!("CPU path, {threads} threads, forward");
    // An operation, and where the copy is made that it is held against.
    let mut operations = vec![
        ("GPU, forward", GPU, "forward", GPU),
        ("GPU, backward", GPU, "backward", GPU),
        ("GPU, in place", GPU, "in_place", GPU),
        ("CPU path, 1 thread, forward", cpu(1), "forward", cpu(1)),
        ("rand loop, 1 thread, forward", RAND_LOOP, "forward", cpu(1)),
    ];
    if threads > 1 {
        operations.insert(3, (&cpu_path, cpu(threads), "forward", cpu(threads)));
    }
    let types = types(record)?;
    let mut rows = Vec::new();
    for (name, place, operation, ceiling) in operations {
        for &dtype in &types {
            // The loop is of f32 alone.
            if place == RAND_LOOP && dtype != F32 {
                continue;
            }
            let name = match types[..] {
                [_] => name.to_owned(),
                _ => format!("{name}, {dtype}"),
            };
            rows.push((name, place, operation, ceiling, dtype));
        }
    }
    let sizes = sizes(record);
    let mut table = line("elements", sizes.iter().map(|size| grouped(*size)));
    table += &line("---", sizes.iter().map(|_| "--:".to_owned()));
    for (name, place, operation, ceiling, dtype) in rows {
        let ratios = sizes.iter().map(|&elements| {
            let time = median(record, place, operation, dtype, elements)?;
            let copy = median(record, ceiling, "copy", dtype, elements)?;
            Ok(format!("{:.2}", time / copy))
        });
        table += &line(&name, ratios.collect::<Result<Vec<_>>>()?.into_iter());
    }
    Ok(table)
}

/// A row for each layout and kind; nothing for a record that has none.
fn variants(record: &Value) -> Result<String> {
    let Some(rows) = record["variants"]
        .as_array()
        .filter(|rows| !rows.is_empty())
    else {
        return Ok(String::new());
    };
    let find = |name: &str| {
        let row = rows.iter().find(|row| row["variant"] == name);
        let median = row.and_then(|row| row["wall_seconds"]["median"].as_f64());
        median.ok_or_else(|| format!("{RECORD} lacks the variant {name}"))
    };
    let (copy, linear) = (find("copy")?, find("linear")?);
    let elements = rows[0]["elements"].as_u64().ok_or("a variant of no size")?;
    let mut table = format!(
        "Forward on the GPU, {} elements: time over that of the copy, and over that of dropout with consecutive mask indices.\n\n",
        grouped(elements)
    );
    table += &line("", ["copy", "dropout"].map(str::to_owned).into_iter());
    table += &line("---", ["--:", "--:"].map(str::to_owned).into_iter());
    for (name, title) in [
        ("time_locked", "time-locked, rows of 1024"),
        (
            "feature_channels_last",
            "feature dropout, channels last, rows of 64",
        ),
        (
            "feature_channels_first",
            "feature dropout, channels first, runs of 4096",
        ),
        ("drop_path", "drop path, runs of 65,536"),
        ("transposed", "a transposed copy"),
        ("sample_ids", "64 samples with ids"),
        ("packed_mask", "a packed mask from outside"),
        ("classic", "classic"),
        ("alpha", "alpha"),
        ("gaussian", "Gaussian"),
    ] {
        let time = find(name)?;
        let ratios = [time / copy, time / linear].map(|ratio| format!("{ratio:.2}"));
        table += &line(title, ratios.into_iter());
    }
    Ok(table + "\n")
}

/// Seconds.
fn median(
    record: &Value,
    place: Place,
    operation: &str,
    dtype: &str,
    elements: u64,
) -> Result<f64> {
    let rows = record["measurements"].as_array().into_iter().flatten();
    let mut rows = rows.filter(|row| {
        row["place"] == place.place
            && row["threads"].as_u64() == place.threads
            && row["operation"] == operation
            && type_of(row) == dtype
            && row["elements"] == elements
    });
    let row = rows.next();
    row.and_then(|row| row["wall_seconds"]["median"].as_f64())
        .ok_or_else(|| {
            let place = place.place;
            format!("{RECORD} lacks {operation} on {place} of {elements} elements of {dtype}")
                .into()
        })
}

/// A record from before there were others has none.
fn type_of(row: &Value) -> &str {
    row["dtype"].as_str().unwrap_or(F32)
}

/// Each once, in the order of the rows of one size.
fn types(record: &Value) -> Result<Vec<&str>> {
    let rows = record["measurements"].as_array().into_iter().flatten();
    let mut types = Vec::new();
    for dtype in rows.map(type_of) {
        if ![F32, "f16", "bf16"].contains(&dtype) {
            return Err(format!("{RECORD} has elements of type {dtype:?}").into());
        }
        if !types.contains(&dtype) {
            types.push(dtype);
        }
    }
    Ok(types)
}

/// Each once, in the order of the rows.
fn sizes(record: &Value) -> Vec<u64> {
    let rows = record["measurements"].as_array().into_iter().flatten();
    let mut sizes: Vec<_> = rows.filter_map(|row| row["elements"].as_u64()).collect();
    sizes.dedup();
    sizes
}

fn threads(record: &Value) -> Result<u64> {
    let threads = record["machine"]["threads"].as_u64();
    Ok(threads.ok_or("the record does not say how many threads there were")?)
}

/// The table of the cost of recording a dispatch.
fn recording(record: &Value) -> Result<String> {
    let median = |way: &str| {
        let rows = record["recording"].as_array().into_iter().flatten();
        let mut rows = rows.filter(|row| row["way"] == way);
        let row = rows.next();
        row.and_then(|row| row["seconds"]["median"].as_f64())
            .ok_or_else(|| format!("{RECORD} lacks the recording {way}"))
    };
    let by_hand = median("by_hand")?;
    Ok(format!(
        "Recording a dispatch takes {:.2} times the CPU time of the same calls by hand; without `IMMEDIATES`, {:.1} times.",
        median("immediates")? / by_hand,
        median("uniforms")? / by_hand,
    ))
}

/// 65536 as `65,536`.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::HOSTILE;
    use super::*;
    use crate::command::root;

    fn committed() -> Value {
        read(&root().unwrap(), RECORD).unwrap()
    }

    #[test]
    fn another_record_gives_another_page() {
        let record = committed();
        let expected = page(&record).unwrap();
        for (field, other) in [
            ("/measurements/0/wall_seconds/median", json!(1.0)),
            ("/recording/0/seconds/median", json!(1.0)),
            ("/adapter/name", json!("another")),
            ("/date", json!("2020-01-01T00:00:00Z")),
        ] {
            let mut record = record.clone();
            *record.pointer_mut(field).unwrap() = other;
            assert_ne!(page(&record).unwrap(), expected, "{field}");
        }
    }

    #[test]
    fn a_record_that_lacks_something_is_refused() {
        for field in [
            "/version",
            "/adapter",
            "/machine/threads",
            "/measurements/0",
            "/recording/0",
        ] {
            let mut record = committed();
            *record.pointer_mut(field).unwrap() = Value::Null;
            assert!(page(&record).is_err(), "{field}");
        }
    }

    #[test]
    fn a_hostile_text_is_refused() {
        for hostile in HOSTILE {
            for field in [
                "/adapter/backend",
                "/adapter/name",
                "/adapter/driver_info",
                "/machine/cpu",
                "/call",
                "/date",
                "/library/version",
                "/measurements/0/dtype",
            ] {
                let mut record = committed();
                *record.pointer_mut(field).unwrap() = json!(hostile);
                assert!(page(&record).is_err(), "{field}: {hostile:?}");
            }
        }
    }

    #[test]
    fn types_have_rows_where_the_record_has_them() {
        let mut record = committed();
        let rows = record["measurements"].as_array_mut().unwrap();
        rows.retain(|row| type_of(row) == F32);
        let mut halves = rows.clone();
        halves.retain(|row| row["place"] != "rand_loop");
        for row in &mut halves {
            row["dtype"] = json!("f16");
            if row["operation"] == "copy" {
                let median = &mut row["wall_seconds"]["median"];
                *median = json!(median.as_f64().unwrap() / 2.0);
            }
        }
        let without = page(&record).unwrap();
        assert!(!without.contains("f16"), "{without}");
        let rows = record["measurements"].as_array_mut().unwrap();
        rows.extend(halves.iter().cloned());
        let with = page(&record).unwrap();
        assert!(with.contains("threads. f32, f16, `p="), "{with}");
        let ratios = |name: &str| -> Vec<f64> {
            let line = with.lines().find(|line| line.starts_with(name)).unwrap();
            let cells = line[name.len()..].split('|');
            cells.filter_map(|cell| cell.trim().parse().ok()).collect()
        };
        for name in ["GPU, in place", "CPU path, 1 thread, forward"] {
            let [f32, f16] = ["f32", "f16"].map(|dtype| ratios(&format!("| {name}, {dtype} |")));
            assert!(!f32.is_empty());
            for (f32, f16) in f32.iter().zip(f16) {
                assert!((f16 - 2.0 * f32).abs() < 0.02, "{name}: {f32} and {f16}");
            }
        }
        assert!(
            !with.contains("rand loop, 1 thread, forward, f16"),
            "{with}"
        );
        record["measurements"].as_array_mut().unwrap().pop();
        assert!(page(&record).is_err());
    }

    #[test]
    fn layouts_and_kinds_have_rows_where_the_record_has_them() {
        let mut record = committed();
        record["variants"] = json!([]);
        let without = page(&record).unwrap();
        let row = |variant: &str, median: f64| {
            json!({
                "variant": variant,
                "elements": 4_194_304,
                "wall_seconds": { "median": median },
            })
        };
        let names = [
            "copy",
            "linear",
            "classic",
            "alpha",
            "gaussian",
            "time_locked",
            "feature_channels_last",
            "feature_channels_first",
            "drop_path",
            "transposed",
            "sample_ids",
            "packed_mask",
        ];
        let rows: Vec<_> = names
            .into_iter()
            .zip(1..)
            .map(|(name, n)| row(name, n.into()))
            .collect();
        record["variants"] = rows.into();
        let page = page(&record).unwrap();
        assert!(page.contains("4,194,304 elements"), "{page}");
        assert!(
            page.contains("| drop path, runs of 65,536 | 9.00 | 4.50 |\n"),
            "{page}"
        );
        assert_ne!(page, without);
        for lacking in 0..names.len() {
            let mut record = record.clone();
            record["variants"][lacking] = Value::Null;
            assert!(super::page(&record).is_err(), "{}", names[lacking]);
        }
    }

    #[test]
    fn a_software_adapter_is_called_so() {
        let mut record = committed();
        for software in [true, false] {
            record["adapter"]["software"] = software.into();
            let page = page(&record).unwrap();
            assert_eq!(page.contains("SOFTWARE"), software);
        }
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(65_536), "65,536");
        assert_eq!(grouped(1_048_576), "1,048,576");
        assert_eq!(grouped(1_000_001), "1,000,001");
    }
}

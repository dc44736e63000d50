//! .npy files, judged by their header before anything is read or allocated for the tensor.
//!
//! A reader of our own: those on crates.io bring a parser generator and a C build script for one
//! Python dictionary of three entries, and trust the lengths in the file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use wgpu_dropout::{Element, ElementType};

use crate::output::little_endian;
use crate::{fifo, quote};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Little-endian `f32` or `f16` in row-major order, exactly as long as the header tells.
pub struct NpyFile {
    /// All that comes before the first element; that of any tensor of this shape and type.
    pub header: Vec<u8>,
    pub element_type: ElementType,
    /// Elements in each dimension.
    pub shape: Vec<u64>,
    /// For messages.
    name: String,
    /// Stands at the first element that is not read yet.
    data: Box<dyn Read>,
    promised_bytes: u128,
    read_bytes: u128,
}

impl NpyFile {
    /// Opens and checks the file at `path`, standard input for `-`. A pipe's length shows at its
    /// end alone.
    pub fn open(path: &Path) -> Result<Self> {
        let is_stdin = path == Path::new("-");
        let name = match is_stdin {
            true => "standard input".to_owned(),
            false => quote::path(path),
        };
        let open = || -> Result<(Box<dyn Read>, Option<u64>)> {
            if is_stdin {
                return Ok((Box::new(io::stdin().lock()), None));
            }
            let file = fifo::open(path, File::options().read(true))?;
            let metadata = file.metadata()?;
            ensure!(!metadata.is_dir(), "it is a folder");
            let file_bytes = metadata.is_file().then_some(metadata.len());
            Ok((Box::new(file), file_bytes))
        };
        let file = open().and_then(|(data, file_bytes)| Self::read(&name, data, file_bytes));
        file.with_context(|| format!("cannot use {name}"))
    }

    /// Reads the header. Where `file_bytes` are known, the file is as long as it promises.
    fn read(name: &str, mut data: Box<dyn Read>, file_bytes: Option<u64>) -> Result<Self> {
        let (header, text_start) = read_header(&mut data)?;
        let (element_type, shape) = parse_header(&header[text_start..])?;
        let len = count(&shape).with_context(|| {
            let shape = quote::quote(&format!("{shape:?}"));
            format!("its shape {shape} passes 64 bits: the header is damaged")
        })?;
        let file = Self {
            promised_bytes: u128::from(len) * u128::from(element_type.bytes()),
            read_bytes: 0,
            header,
            element_type,
            shape,
            name: name.to_owned(),
            data,
        };
        if let Some(file_bytes) = file_bytes {
            // It may have become shorter since.
            file.check(u128::from(file_bytes).saturating_sub(file.header.len() as u128))?;
        }
        Ok(file)
    }

    /// The next `len` elements.
    pub fn elements<T: Element>(&mut self, len: usize) -> Result<Vec<T>> {
        let mut elements = vec![T::zeroed(); len];
        self.fill(bytemuck::cast_slice_mut(&mut elements))
            .with_context(|| format!("cannot use {}", self.name))?;
        little_endian(&mut elements);
        Ok(elements)
    }

    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.data.read(bytes) {
                Ok(0) => bail!(self.wrong_length(self.read_bytes)),
                Ok(read) => {
                    self.read_bytes += read as u128;
                    bytes = &mut bytes[read..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Checks that nothing follows the last element.
    pub fn end(mut self) -> Result<()> {
        let more = self.data.by_ref().take(1).read_to_end(&mut Vec::new());
        more.map_err(Into::into)
            .and_then(|more| self.check(self.read_bytes + more as u128))
            .with_context(|| format!("cannot use {}", self.name))
    }

    /// `held` bytes of elements are there, or more.
    fn check(&self, held: u128) -> Result<()> {
        ensure!(held == self.promised_bytes, self.wrong_length(held));
        Ok(())
    }

    fn wrong_length(&self, held: u128) -> String {
        let promised = self.promised_bytes;
        let (fault, more, remedy) = match held > promised {
            true => (
                "too long",
                " or more",
                "keep one array a file, as numpy.save writes it",
            ),
            false => ("cut off", "", "copy the file again"),
        };
        let shape = quote::quote(&format!("{:?}", self.shape));
        format!(
            "it is {fault}: its header promises {promised} bytes for the shape {shape}, \
             {held}{more} are there; {remedy}"
        )
    }
}

/// Reads magic, version, length and text; returns them and where the text begins.
fn read_header(data: &mut impl Read) -> Result<(Vec<u8>, usize)> {
    let foreign = "it is no .npy file, which begins with \\x93NUMPY: write it by numpy.save";
    let mut header = Vec::new();
    extend(&mut header, data, 8).context(foreign)?;
    let [magic @ .., major, minor] = &header[..] else {
        bail!(foreign);
    };
    ensure!(magic == MAGIC, foreign);
    let length_bytes = match (major, minor) {
        (1, 0) => 2,
        (2 | 3, 0) => 4,
        _ => bail!("its format version is {major}.{minor}; 1.0, 2.0 and 3.0 can be read"),
    };
    extend(&mut header, data, length_bytes)?;
    let text_bytes = header[8..]
        .iter()
        .rev()
        .fold(0, |length, &byte| length << 8 | u64::from(byte));
    let text_start = header.len();
    extend(&mut header, data, text_bytes)?;
    Ok((header, text_start))
}

/// Reads `bytes` more of the header.
fn extend(header: &mut Vec<u8>, data: &mut impl Read, bytes: u64) -> Result<()> {
    let needed = header.len() as u64 + bytes;
    let read = data.take(bytes).read_to_end(header)?;
    ensure!(
        read as u64 == bytes,
        "its header is cut off: it needs {needed} bytes, the file has {}",
        header.len()
    );
    Ok(())
}

/// Type and shape, of a header that tells of little-endian `f32` or `f16` in row-major order.
fn parse_header(text: &[u8]) -> Result<(ElementType, Vec<u64>)> {
    let damaged = || {
        let text = String::from_utf8_lossy(text);
        let text = quote::quote(text.trim_end());
        anyhow!("its header is damaged: `{text}`")
    };
    let entries = str::from_utf8(text)
        .ok()
        .and_then(dictionary)
        .ok_or_else(damaged)?;
    let entry = |name| {
        let mut values = entries.iter().filter(|(key, _)| *key == name);
        values.next().map(|(_, value)| *value).ok_or_else(damaged)
    };

    let descr = entry("descr")?;
    let element_type = match unquote(descr) {
        Some("<f4") => ElementType::F32,
        Some("<f2") => ElementType::F16,
        _ => bail!(
            "its elements are {}, and only little-endian f32 and f16, '<f4' and '<f2', can be \
             used: save array.astype('<f4')",
            quote::quote(descr)
        ),
    };
    let shape = tuple(entry("shape")?).ok_or_else(damaged)?;
    match entry("fortran_order")? {
        "False" => {}
        // With one dimension or none both orders are the same.
        "True" if shape.len() < 2 => {}
        "True" => bail!(
            "its elements are in Fortran order, in which they would get each other's masks: \
             save numpy.ascontiguousarray(array)"
        ),
        _ => return Err(damaged()),
    }
    Ok((element_type, shape))
}

/// The entries of a Python dictionary with keys of type string; values as they are written.
fn dictionary(text: &str) -> Option<Vec<(&str, &str)>> {
    let items = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    split(items)
        .map(|item| {
            let (key, value) = item.split_once(':')?;
            Some((unquote(key.trim())?, value.trim()))
        })
        .collect()
}

/// A tuple of integers: `()`, `(3,)`, `(6, 48, 40)`.
fn tuple(text: &str) -> Option<Vec<u64>> {
    let items = text.strip_prefix('(')?.strip_suffix(')')?;
    split(items)
        // Python 2 wrote long integers as `3L`.
        .map(|item| item.strip_suffix('L').unwrap_or(item))
        .map(|item| crate::number::integer(item).ok())
        .collect()
}

/// The trimmed items between commas that are in no brackets and no quotes; one comma may follow
/// the last item.
fn split(items: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0u32;
    let mut quote = None;
    let items = items.trim();
    items
        .strip_suffix(',')
        .unwrap_or(items)
        .split(move |c| {
            match (quote, c) {
                (Some(open), _) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '(' | '[' | '{') => depth += 1,
                (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
                (None, _) => return c == ',' && depth == 0,
            }
            false
        })
        .map(str::trim)
        .filter(move |_| !items.is_empty())
}

fn unquote(text: &str) -> Option<&str> {
    ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

/// Elements of a tensor of this shape; `None` where they pass 64 bits.
pub fn count(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .try_fold(1u64, |len, &size| len.checked_mul(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(text: &str) -> Option<Vec<u64>> {
        let (_, shape) = parse_header(text.as_bytes()).ok()?;
        Some(shape)
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        for (shape, expected) in [
            ("()", vec![]),
            ("(3,)", vec![3]),
            ("(6, 48, 40)", vec![6, 48, 40]),
            ("(6L, 48L)", vec![6, 48]),
        ] {
            let text =
                format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}   \n");
            assert_eq!(shape_of(&text), Some(expected));
        }
    }

    #[test]
    fn other_spellings_of_the_same() {
        let text = r#"{"shape":(2,3),"fortran_order":False,"descr":"<f4"}"#;
        assert_eq!(shape_of(text), Some(vec![2, 3]));
        let vector = "{'descr': '<f4', 'fortran_order': True, 'shape': (5,)}";
        assert_eq!(shape_of(vector), Some(vec![5]));
    }

    #[test]
    fn damaged_headers() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
            "{'descr, 'fortran_order': False, 'shape': (1,)}",
        ] {
            assert_eq!(shape_of(text), None, "{text}");
        }
        assert!(parse_header(b"{'descr': '\xff'}").is_err());
    }

    #[test]
    fn structures_are_refused_by_name() {
        let text = "{'descr': [('a, b', '<f4')], 'fortran_order': False, 'shape': (1,)}";
        let error = parse_header(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("[('a, b', '<f4')]"), "{error}");
    }

    #[test]
    fn shapes_are_counted_in_64_bits() {
        assert_eq!(count(&[]), Some(1));
        assert_eq!(count(&[6, 48, 40]), Some(11_520));
        assert_eq!(count(&[1 << 63, 2]), None);
        assert_eq!(count(&[1 << 63, 2, 0]), Some(0));
    }
}

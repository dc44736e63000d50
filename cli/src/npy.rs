//! Reads .npy files. The header is checked before anything is read or allocated for the tensor.
//!
//! This is a reader of our own. The readers on crates.io bring a parser generator and a C build
//! script, only to parse a Python dictionary of three entries, and they trust the file's lengths.

#[cfg(test)]
mod fuzz;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use wgpu_dropout::{Element, ElementType};

use crate::output::little_endian;
use crate::{fifo, number, quote};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// NumPy's `_MAX_HEADER_SIZE`: `numpy.load` refuses longer headers in every version of the format.
const MAX_TEXT_BYTES: u64 = 10_000;

/// A file of little-endian `f32` or `f16` in row-major order, exactly as long as its header says.
pub struct NpyFile {
    /// All bytes before the first element. They suit any tensor of this shape and type.
    pub header: Vec<u8>,
    pub element_type: ElementType,
    /// Elements in each dimension.
    pub shape: Vec<u64>,
    /// The file's name in messages.
    name: String,
    /// The file, positioned at the first element that has not been read.
    data: Box<dyn Read>,
    promised_bytes: u128,
    read_bytes: u128,
}

impl NpyFile {
    /// Opens and checks the file at `path`, or standard input for `-`. The length of a pipe is
    /// known only at its end.
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

    /// Reads the header. If `file_bytes` is known, checks that the file is as long as the header
    /// promises.
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
            // The file may have become shorter than its header since it was measured.
            file.check(u128::from(file_bytes).saturating_sub(file.header.len() as u128))?;
        }
        Ok(file)
    }

    /// Reads the next `len` elements.
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

    /// Checks that the file has the promised bytes of elements. `held` is their number, or a lower
    /// bound.
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
                "keep one array per file, as numpy.save writes it",
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

/// The most dimensions that NumPy 2 reads.
pub const MAX_DIMENSIONS: usize = 64;

/// The header of an array of booleans in format 1.0. The shape has at most [`MAX_DIMENSIONS`].
pub fn boolean_header(shape: &[u64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let text = format!("{{'descr': '|b1', 'fortran_order': False, 'shape': ({sizes})}}");
    // NumPy aligns the elements to 64 bytes.
    let text_bytes = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = [MAGIC, &[1, 0][..]].concat();
    // The length is below 2^16, since a size has at most 20 digits.
    header.extend((text_bytes as u16).to_le_bytes());
    header.extend(format!("{text:<width$}\n", width = text_bytes - 1).bytes());
    header
}

/// Reads magic, version, length and text. Returns all of them, and the offset of the text.
fn read_header(data: &mut impl Read) -> Result<(Vec<u8>, usize)> {
    let foreign =
        "it is no .npy file, since it does not begin with \\x93NUMPY: write it by numpy.save";
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
    ensure!(
        text_bytes <= MAX_TEXT_BYTES,
        "its header has a text of {text_bytes} bytes, and numpy.load reads at most \
         {MAX_TEXT_BYTES}: write the file by numpy.save"
    );
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

/// Type and shape from a header, which must describe little-endian `f32` or `f16` in row-major
/// order.
fn parse_header(text: &[u8]) -> Result<(ElementType, Vec<u64>)> {
    let damaged = || {
        let text = String::from_utf8_lossy(text);
        let text = quote::quote(text.trim_end());
        anyhow!("its header is damaged: `{text}`")
    };
    let (descr, fortran_order, shape) = str::from_utf8(text)
        .ok()
        .and_then(entries)
        .ok_or_else(damaged)?;
    let element_type = match unquote(descr) {
        Some("<f4") => ElementType::F32,
        Some("<f2") => ElementType::F16,
        _ => bail!(
            "its elements are {}; only little-endian f32 and f16, '<f4' and '<f2', can be used: \
             save array.astype('<f4')",
            quote::quote(descr)
        ),
    };
    // Both orders are the same for a scalar and for one dimension.
    ensure!(
        !fortran_order || shape.len() < 2,
        "its elements are in Fortran order, and masks here follow C order: \
         save numpy.ascontiguousarray(array)"
    );
    Ok((element_type, shape))
}

/// Reads `descr`, `fortran_order` and `shape`. NumPy takes exactly these keys, and the last value
/// of a key that occurs twice. Here the other values of a key must be valid too.
fn entries(text: &str) -> Option<(&str, bool, Vec<u64>)> {
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    for (key, value) in dictionary(text)? {
        match (key, value) {
            ("descr", _) if is_descr(value) => descr = Some(value),
            ("fortran_order", "False") => fortran_order = Some(false),
            ("fortran_order", "True") => fortran_order = Some(true),
            ("shape", _) => shape = Some(tuple(value)?),
            _ => return None,
        }
    }
    Some((descr?, fortran_order?, shape?))
}

/// A type's name, or the list of a structure.
fn is_descr(value: &str) -> bool {
    value.starts_with('[') || unquote(value).is_some_and(|name| !name.contains(['\'', '"', '\\']))
}

/// The entries of a Python dictionary whose keys are strings. Values are left as text.
fn dictionary(text: &str) -> Option<Vec<(&str, &str)>> {
    let items = text.trim_ascii().strip_prefix('{')?.strip_suffix('}')?;
    split(items)
        .map(|item| {
            let (key, value) = item.split_once(':')?;
            Some((unquote(key.trim_ascii())?, value.trim_ascii()))
        })
        .collect()
}

/// Parses a tuple of integers: `()`, `(3,)`, `(6, 48, 40)`.
fn tuple(text: &str) -> Option<Vec<u64>> {
    let items = text.strip_prefix('(')?.strip_suffix(')')?.trim_ascii();
    if items.is_empty() {
        return Some(Vec::new());
    }
    // Without a comma, `(3)` is an integer.
    let _comma = items.find(',')?;
    split(items)
        // Python 2 wrote long integers as `3L`.
        .map(|item| item.strip_suffix('L').unwrap_or(item))
        // Python does not take `03`.
        .map(|item| match item.starts_with('0') && item != "0" {
            true => None,
            false => number::integer(item).ok(),
        })
        .collect()
}

/// Splits at commas outside of brackets and quotes, and trims the items. One comma may follow the
/// last item.
fn split(items: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0u32;
    let mut quote = None;
    let items = items.trim_ascii();
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
        .map(str::trim_ascii)
}

fn unquote(text: &str) -> Option<&str> {
    ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

/// The number of elements of a tensor of this shape; `None` if it passes 64 bits.
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
    fn the_last_value_of_a_key_counts() {
        let text = "{'shape': (7,), 'descr': '>f4', 'fortran_order': True, \
                     'fortran_order': False, 'shape': (2, 3), 'descr': '<f4'}";
        assert_eq!(shape_of(text), Some(vec![2, 3]));
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
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (01,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 1, 'shape': (1,)}",
            "{'descr': '<f4' '', 'fortran_order': False, 'shape': (1,)}",
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

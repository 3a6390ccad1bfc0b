//! The data sets that are built in or can be downloaded.

/// A data set that is built in or can be downloaded.
#[derive(Debug)]
pub struct CatalogEntry {
    /// The name, as in `NAME:DIR`.
    pub name: &'static str,
    /// What the images show.
    pub description: &'static str,
    /// The number of samples, their shape, and the number of classes.
    pub size: &'static str,
    /// The authors and the license.
    pub credit: &'static str,
    /// The URL of the directory of the files, ending with `/`; empty if the data set is built in.
    pub base_url: &'static str,
    /// The files; empty if the data set is built in.
    pub files: &'static [RemoteFile],
    /// The members that are unpacked if the file is an archive. They keep their paths in the archive.
    pub archive_members: &'static [&'static str],
}

/// One file of a data set.
#[derive(Debug)]
pub struct RemoteFile {
    /// The name, in the URL and in the directory that the file is saved to.
    pub name: &'static str,
    /// The size in bytes.
    pub bytes: u64,
    /// The SHA-256 checksum, 64 lower-case hexadecimal digits.
    pub sha256: &'static str,
}

impl CatalogEntry {
    /// Returns the number of bytes to download.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Returns the data sets that are built in or can be downloaded.
pub fn catalog() -> &'static [CatalogEntry] {
    &CATALOG
}

const fn remote(name: &'static str, bytes: u64, sha256: &'static str) -> RemoteFile {
    RemoteFile { name, bytes, sha256 }
}

static CATALOG: [CatalogEntry; 5] = [
    CatalogEntry {
        name: "digits",
        description: "handwritten digits, built in",
        size: "1,442 + 355 images, 8x8 grey, 10 classes",
        credit: "E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998; CC BY 4.0",
        base_url: "",
        files: &[],
        archive_members: &[],
    },
    CatalogEntry {
        name: "mnist",
        description: "handwritten digits",
        size: "60,000 + 10,000 images, 28x28 grey, 10 classes",
        credit: "Y. LeCun, C. Cortes, C. J. C. Burges, 1998; no licence stated, often given as CC BY-SA 3.0",
        base_url: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        files: &[
            remote(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            remote(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            remote(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            remote(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        archive_members: &[],
    },
    CatalogEntry {
        name: "fashion-mnist",
        description: "articles of clothing",
        size: "60,000 + 10,000 images, 28x28 grey, 10 classes",
        credit: "H. Xiao, K. Rasul, R. Vollgraf, Zalando Research, 2017; MIT",
        base_url: "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        files: &[
            remote(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            remote(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            remote(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            remote(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
        archive_members: &[],
    },
    CatalogEntry {
        name: "cifar10",
        description: "photographs of things and animals",
        size: "50,000 + 10,000 images, 32x32 colour, 10 classes",
        credit: "A. Krizhevsky, V. Nair, G. Hinton, 2009; no licence stated",
        base_url: "https://www.cs.toronto.edu/~kriz/",
        files: &[remote(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )],
        archive_members: &[
            "cifar-10-batches-bin/data_batch_1.bin",
            "cifar-10-batches-bin/data_batch_2.bin",
            "cifar-10-batches-bin/data_batch_3.bin",
            "cifar-10-batches-bin/data_batch_4.bin",
            "cifar-10-batches-bin/data_batch_5.bin",
            "cifar-10-batches-bin/test_batch.bin",
        ],
    },
    CatalogEntry {
        name: "cifar100",
        description: "photographs of things and animals",
        size: "50,000 + 10,000 images, 32x32 colour, 100 classes",
        credit: "A. Krizhevsky, V. Nair, G. Hinton, 2009; no licence stated",
        base_url: "https://www.cs.toronto.edu/~kriz/",
        files: &[remote(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )],
        archive_members: &[
            "cifar-100-binary/train.bin",
            "cifar-100-binary/test.bin",
            "cifar-100-binary/fine_label_names.txt",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_are_well_formed() {
        for data in catalog() {
            let spec = if data.files.is_empty() { data.name.to_owned() } else { format!("{}:DIR", data.name) };
            assert!(spec.parse::<crate::data::DataSpec>().is_ok(), "{spec}");
            assert_eq!(data.files.is_empty(), data.base_url.is_empty());
            assert!(data.base_url.is_empty() || data.base_url.starts_with("https://") && data.base_url.ends_with('/'));
            for file in data.files {
                assert!(file.bytes > 0 && file.sha256.len() == 64);
                assert!(file.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            }
        }
    }
}

//! The master key: it wraps the key ring's own key.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::seal::{KEY_BYTES, SecretKey};
use crate::sync::Syncs;
use crate::zeroing;

/// The directory of the key ring, below the store's directory.
pub(crate) const KEYS: &str = "keys";

/// The master key that lies beside the data.
pub(crate) const MASTER: &str = "master";
pub(super) const MASTER_NEW: &str = "master.new";

/// Longest output of a master key command that is read.
const TEXT_BYTES_MAX: usize = 4_096;

/// Where the master key comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MasterKeySource {
    /// `keys/master` in the store's directory, made on the first run, for its owner only.
    #[default]
    Beside,
    /// A file, by its path.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// What a shell command prints, for a key management service.
    Command(String),
}

impl fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside => f.write_str("keys/master"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the variable {name}"),
            // A command line may hold a token.
            Self::Command(_) => f.write_str("keys.master_command"),
        }
    }
}

/// A key of 32 bytes that wraps other keys; never used for data.
#[derive(Debug, Clone)]
pub struct MasterKey(pub(super) SecretKey);

impl MasterKey {
    /// A new one.
    pub fn random() -> Self {
        Self(SecretKey::random())
    }

    /// Reads 32 bytes, or 64 hexadecimal digits with blanks around them.
    pub fn parse(text: &[u8]) -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if text.len() == KEY_BYTES {
            bytes.copy_from_slice(text);
            return Ok(Self(SecretKey::from_bytes(bytes)));
        }
        let digits = text.trim_ascii();
        if digits.len() != 2 * KEY_BYTES {
            return Err(master("must be 64 hexadecimal digits, or 32 bytes"));
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(master("must be 64 hexadecimal digits, or 32 bytes"));
            };
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(SecretKey::from_bytes(bytes)))
    }

    /// The key as 64 hexadecimal digits and a newline.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in self.0.expose() {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        text.push('\n');
        text
    }

    /// Writes the key into a new file for its owner only.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        write_file(path, self, &Syncs::new(None))
    }
}

pub(super) fn master(problem: impl Into<String>) -> StoreError {
    StoreError::MasterKey {
        problem: problem.into(),
    }
}

/// The directory of the keys, made for its owner only when it is missing.
pub(super) fn keys_directory(directory: &Path, syncs: &Syncs) -> Result<PathBuf, StoreError> {
    let path = directory.join(KEYS);
    if !path.is_dir() {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| StoreError::io(&path, &error))?;
        syncs.directory(directory)?;
    }
    Ok(path)
}

/// The master keys to try, the likeliest first. Two only when a rotation was interrupted.
pub(super) fn candidates(
    source: &MasterKeySource,
    directory: &Path,
) -> Result<Vec<MasterKey>, StoreError> {
    if *source != MasterKeySource::Beside {
        return Ok(vec![read(source)?]);
    }
    let keys = directory.join(KEYS);
    let mut found = Vec::new();
    for path in [keys.join(MASTER), keys.join(MASTER_NEW)] {
        if path.exists() {
            found.push(read_file(&path)?);
        }
    }
    if found.is_empty() {
        return Err(master(
            "keys/master is missing: put it back, or name where the key is in the section [keys]",
        ));
    }
    Ok(found)
}

/// The master key for a new ring, made when the source allows it.
pub(super) fn read_or_make(
    source: &MasterKeySource,
    directory: &Path,
    syncs: &Syncs,
) -> Result<MasterKey, StoreError> {
    if *source != MasterKeySource::Beside {
        return read(source);
    }
    let path = keys_directory(directory, syncs)?.join(MASTER);
    if path.exists() {
        return read_file(&path);
    }
    let key = MasterKey::random();
    write_file(&path, &key, syncs)?;
    tracing::warn!(
        path = %path.display(),
        "a master key was made and lies beside the data it protects: for anything but a trial, \
         keep it elsewhere and name it in the section [keys], then run `recant keys rotate`"
    );
    Ok(key)
}

/// Reads the key of a source that is not beside the data.
pub(super) fn read(source: &MasterKeySource) -> Result<MasterKey, StoreError> {
    match source {
        MasterKeySource::Beside => Err(master("has no source named")),
        MasterKeySource::File(path) => read_file(path),
        MasterKeySource::Environment(name) => {
            let text = Zeroizing::new(std::env::var(name).unwrap_or_default());
            if text.is_empty() {
                return Err(master(format!("is not in the variable {name}: set it")));
            }
            MasterKey::parse(text.as_bytes())
        }
        MasterKeySource::Command(command) => read_command(command),
    }
}

fn read_file(path: &Path) -> Result<MasterKey, StoreError> {
    let unreadable = |error| master(format!("cannot be read from {}: {error}", path.display()));
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "others than its owner may read the master key: chmod 600"
        );
    }
    let text = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    MasterKey::parse(&text)
}

fn read_command(command: &str) -> Result<MasterKey, StoreError> {
    let output = Command::new("sh").arg("-c").arg(command).output();
    let output = output.map_err(|error| master(format!("command did not run: {error}")))?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(master(format!("command ended with {}", output.status)));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(master("command printed more than a key"));
    }
    MasterKey::parse(&text)
}

fn write_file(path: &Path, key: &MasterKey, syncs: &Syncs) -> Result<(), StoreError> {
    let io = |error| StoreError::io(path, &error);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.write_all(key.to_text().as_bytes()).map_err(io)?;
    syncs.data(&file, path)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    syncs.directory(parent.unwrap_or(Path::new(".")))
}

/// Writes the key that a rotation of a key beside the data will end with.
pub(super) fn write_next(
    directory: &Path,
    key: &MasterKey,
    syncs: &Syncs,
) -> Result<(), StoreError> {
    let path = directory.join(KEYS).join(MASTER_NEW);
    zeroing::remove_file(&path, syncs)?;
    write_file(&path, key, syncs)
}

/// Makes the key of [`write_next`] the current one; the one before is overwritten.
pub(super) fn promote_next(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    let keys = directory.join(KEYS);
    let (current, next) = (keys.join(MASTER), keys.join(MASTER_NEW));
    if !next.exists() {
        return Ok(());
    }
    zeroing::remove_file(&current, syncs)?;
    fs::rename(&next, &current).map_err(|error| StoreError::io(&current, &error))?;
    syncs.directory(&keys)
}

/// Removes what [`write_next`] wrote, when the rotation did not come so far.
pub(super) fn drop_next(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    zeroing::remove_file(&directory.join(KEYS).join(MASTER_NEW), syncs)
}

/// Removes the key beside the data, because it is kept elsewhere from now on.
pub(super) fn drop_beside(directory: &Path, syncs: &Syncs) -> Result<(), StoreError> {
    drop_next(directory, syncs)?;
    zeroing::remove_file(&directory.join(KEYS).join(MASTER), syncs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_digits_or_bytes() {
        let key = MasterKey::random();
        let text = key.to_text();
        assert_eq!(text.len(), 65);
        for given in [text.as_bytes(), text.trim().as_bytes(), key.0.expose()] {
            let read = MasterKey::parse(given).expect("readable");
            assert_eq!(read.0.expose(), key.0.expose());
        }
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(65)] {
            assert!(MasterKey::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_written_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let key = MasterKey::random();
        write_file(&path, &key, &Syncs::new(None)).expect("written");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let read = read(&MasterKeySource::File(path)).expect("readable");
        assert_eq!(read.0.expose(), key.0.expose());
    }
}

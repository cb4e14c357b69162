//! Folders of parts, as Spark and its kin write them.

use std::path::{Path, PathBuf};

use super::error::ImportError;

/// How deep folders may lie in each other: partitions of partitions, and no circle of links.
const DEPTH_MAX: usize = 8;

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    /// The folder that was named, when the file lies in one. Such a file may be empty.
    pub folder: Option<PathBuf>,
}

/// The files that `paths` name: each itself, or in place of a folder every file below it in the
/// order of names. Names that begin with `_` or `.` are left out: they hold no rows.
pub fn parts(paths: &[PathBuf]) -> Result<Vec<Part>, ImportError> {
    let mut parts = Vec::with_capacity(paths.len());
    for path in paths {
        if !path.is_dir() {
            parts.push(Part {
                path: path.clone(),
                folder: None,
            });
            continue;
        }
        let mut files = Vec::new();
        list(path, 0, &mut files)?;
        if files.is_empty() {
            return Err(ImportError::NoParts(path.clone()));
        }
        parts.extend(files.into_iter().map(|file| Part {
            path: file,
            folder: Some(path.clone()),
        }));
    }
    Ok(parts)
}

fn list(folder: &Path, depth: usize, into: &mut Vec<PathBuf>) -> Result<(), ImportError> {
    let failed = |source| ImportError::Open {
        path: folder.to_owned(),
        source,
    };
    if depth == DEPTH_MAX {
        return Err(ImportError::TooDeep(folder.to_owned()));
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_string_lossy().starts_with(['_', '.']) {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            list(&path, depth + 1, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_parts_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for inner in ["day=2", "_temporary"] {
            std::fs::create_dir(at(inner)).expect("a folder");
        }
        for name in [
            "part-1",
            "part-0",
            "_SUCCESS",
            ".part-0.crc",
            "day=2/part-0",
            "_temporary/x",
        ] {
            std::fs::write(at(name), "x").expect("written");
        }
        let found = parts(&[at("part-1"), folder.path().to_owned()]).expect("readable");
        let paths: Vec<_> = found.iter().map(|part| part.path.clone()).collect();
        assert_eq!(
            paths,
            ["part-1", "day=2/part-0", "part-0", "part-1"].map(at)
        );
        assert_eq!(found[0].folder, None);
        assert_eq!(found[1].folder.as_deref(), Some(folder.path()));
    }

    #[test]
    fn a_folder_without_parts_and_a_circle_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("_SUCCESS"), "").expect("written");
        let named = [folder.path().to_owned()];
        assert!(matches!(parts(&named), Err(ImportError::NoParts(_))));
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).expect("a link");
        assert!(matches!(parts(&named), Err(ImportError::TooDeep(_))));
    }
}

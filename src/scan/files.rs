//! Searching every file below a directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use serde::Serialize;

use super::forms::{Form, Needle};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Most places told for one needle in one form in one file; all are counted.
const PLACES_MAX: usize = 3;

/// Traces of one needle in one file, in one form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Found {
    /// The file. With [`Found::in_name`], its name holds the trace.
    pub file: PathBuf,
    /// Which of the needles, counted from 1 in the order they were given.
    pub needle: usize,
    /// In which form.
    pub form: Form,
    /// Whether the name of the file holds it, not its content.
    pub in_name: bool,
    /// How often.
    pub count: u64,
    /// The first places, as offsets in bytes from the beginning of the file or the name.
    pub offsets: Vec<u64>,
}

/// A file that could not be searched to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileFault {
    /// Which file or directory.
    pub file: PathBuf,
    /// What the system said.
    pub reason: String,
}

/// What a search of a directory found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// Files searched to their end.
    pub files: u64,
    /// Bytes searched.
    pub bytes: u64,
    /// Traces, by file.
    pub found: Vec<Found>,
    /// Files and directories that could not be searched: about these nothing is known.
    pub unreadable: Vec<FileFault>,
}

impl Outcome {
    /// Whether everything was searched and nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty() && self.unreadable.is_empty()
    }
}

/// Why nothing was searched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// There is nothing to search for.
    #[error("no needle was given")]
    NoNeedle,
    /// The directory cannot be read.
    #[error("{}: {source}", path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The needles together are too much for one search.
    #[error("there is too much to search for at once: give fewer or shorter needles")]
    TooMuch,
}

/// Searches name and content of every file below `directory` for every form of `needles`.
///
/// Links are not followed and only regular files are read. A file that goes while the search is
/// under way, as in a store in use, is passed over. Memory does not grow with the files.
pub(crate) fn scan(directory: &Path, needles: &[Needle]) -> Result<Outcome, ScanError> {
    let search = Search::new(needles)?;
    let entries = |path: PathBuf| {
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        entries.map_err(|source| ScanError::Directory { path, source })
    };
    let mut outcome = Outcome::default();
    let mut waiting = entries(directory.to_owned())?;
    waiting.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    while let Some(entry) = waiting.pop() {
        let path = entry.path();
        let name = path.strip_prefix(directory).unwrap_or(&path);
        search.name(name, &path, &mut outcome);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => match entries(path.clone()) {
                Ok(mut more) => {
                    more.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
                    waiting.append(&mut more);
                }
                Err(ScanError::Directory { source, .. }) => outcome.fault(path, &source),
                Err(error) => return Err(error),
            },
            Ok(kind) if kind.is_file() => search.file(&path, &mut outcome),
            Ok(_) => {}
            Err(error) => outcome.fault(path, &error),
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn fault(&mut self, file: PathBuf, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            let reason = error.to_string();
            self.unreadable.push(FileFault { file, reason });
        }
    }
}

/// Everything that is searched for, as one automaton.
struct Search {
    automaton: AhoCorasick,
    /// Needle and form of each pattern.
    meanings: Vec<(usize, Form)>,
    /// Bytes of the longest pattern.
    longest: usize,
}

impl Search {
    fn new(needles: &[Needle]) -> Result<Self, ScanError> {
        let (mut patterns, mut meanings) = (Vec::new(), Vec::new());
        for (number, needle) in needles.iter().enumerate() {
            for (pattern, form) in needle.patterns() {
                patterns.push(pattern);
                meanings.push((number + 1, form));
            }
        }
        let longest = patterns.iter().map(|pattern| pattern.len()).max();
        Ok(Self {
            automaton: AhoCorasick::new(&patterns).map_err(|_| ScanError::TooMuch)?,
            meanings,
            longest: longest.ok_or(ScanError::NoNeedle)?,
        })
    }

    fn name(&self, name: &Path, path: &Path, outcome: &mut Outcome) {
        let mut found = Traces::new(path, true);
        self.matches(name.as_os_str().as_bytes(), 0, 0, &mut found);
        outcome.found.append(&mut found.found);
    }

    fn file(&self, path: &Path, outcome: &mut Outcome) {
        let mut found = Traces::new(path, false);
        match File::open(path).and_then(|file| self.content(file, &mut found)) {
            Ok(bytes) => {
                outcome.files += 1;
                outcome.bytes += bytes;
            }
            Err(error) => outcome.fault(path.to_owned(), &error),
        }
        outcome.found.append(&mut found.found);
    }

    /// Searches `reader` to its end; returns how many bytes there were.
    fn content(&self, mut reader: impl Read, found: &mut Traces<'_>) -> io::Result<u64> {
        let mut buffer = vec![0; CHUNK_BYTES + self.longest];
        // What the buffer begins with was searched already, and is kept for traces that go on.
        let (mut kept, mut offset) = (0, 0_u64);
        loop {
            let read = match reader.read(&mut buffer[kept..]) {
                Ok(0) => return Ok(offset + kept as u64),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let filled = kept + read;
            self.matches(&buffer[..filled], kept, offset, found);
            let keep = filled.min(self.longest - 1);
            buffer.copy_within(filled - keep..filled, 0);
            offset += (filled - keep) as u64;
            kept = keep;
        }
    }

    /// Notes the traces in `bytes` that do not end within the first `seen` of them.
    fn matches(&self, bytes: &[u8], seen: usize, offset: u64, found: &mut Traces<'_>) {
        for hit in self.automaton.find_overlapping_iter(bytes) {
            if hit.end() > seen {
                let meaning = self.meanings[hit.pattern().as_usize()];
                found.note(meaning, offset + hit.start() as u64);
            }
        }
    }
}

/// The traces in one file.
struct Traces<'a> {
    path: &'a Path,
    in_name: bool,
    found: Vec<Found>,
}

impl<'a> Traces<'a> {
    fn new(path: &'a Path, in_name: bool) -> Self {
        Self {
            path,
            in_name,
            found: Vec::new(),
        }
    }

    fn note(&mut self, (needle, form): (usize, Form), offset: u64) {
        let known = self
            .found
            .iter()
            .position(|found| found.needle == needle && found.form == form);
        let place = known.unwrap_or_else(|| {
            self.found.push(Found {
                file: self.path.to_owned(),
                needle,
                form,
                in_name: self.in_name,
                count: 0,
                offsets: Vec::new(),
            });
            self.found.len() - 1
        });
        let found = &mut self.found[place];
        found.count += 1;
        if found.offsets.len() < PLACES_MAX {
            found.offsets.push(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needles(texts: &[&str]) -> Vec<Needle> {
        let needle = |text: &&str| Needle::new(text).expect("a text");
        texts.iter().map(needle).collect()
    }

    /// A reader that gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(into.len());
            self.0.read(&mut into[..length])
        }
    }

    proptest! {
        #[test]
        fn a_trace_is_found_wherever_the_reads_cut_it(
            before in prop::collection::vec(any::<u8>(), 0..60),
            after in prop::collection::vec(any::<u8>(), 0..60),
            step in 1usize..20,
        ) {
            let bytes = [&before[..], b"usr-needle-77", &after[..]].concat();
            let search = Search::new(&needles(&["usr-needle-77", "needle-77"])).expect("needles");
            let mut found = Traces::new(Path::new("f"), false);
            let read = search.content(Dribble(&bytes, step), &mut found).expect("readable");
            prop_assert_eq!(read, bytes.len() as u64);
            let plain = |needle| found.found.iter().find(|f| f.needle == needle && f.form == Form::Plain);
            let whole = plain(1).expect("found");
            prop_assert_eq!((whole.count, whole.offsets[0]), (1, before.len() as u64));
            let part = plain(2).expect("found, though it lies within the other");
            prop_assert_eq!((part.count, part.offsets[0]), (1, before.len() as u64 + 4));
        }
    }

    #[test]
    fn traces_over_the_border_of_chunks_are_found_once() {
        let mut bytes = vec![b'.'; 3 * CHUNK_BYTES];
        let needle = b"usr-needle-77";
        for chunk in 1..3 {
            let start = chunk * CHUNK_BYTES - 5;
            bytes[start..start + needle.len()].copy_from_slice(needle);
        }
        let search = Search::new(&needles(&["usr-needle-77"])).expect("needles");
        let mut found = Traces::new(Path::new("f"), false);
        search.content(&bytes[..], &mut found).expect("readable");
        assert_eq!(found.found.len(), 1);
        assert_eq!(found.found[0].count, 2);
        let start = CHUNK_BYTES as u64 - 5;
        assert_eq!(found.found[0].offsets, [start, start + CHUNK_BYTES as u64]);
    }

    #[test]
    fn names_and_folders_are_searched_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir_all(inside.join("deep/usr-needle-77")).expect("made");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("f"), "usr-needle-77").expect("written");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("linked");
        fs::write(inside.join("deep/f"), "nothing").expect("written");
        let outcome = scan(&inside, &needles(&["usr-needle-77"])).expect("readable");
        assert_eq!((outcome.files, outcome.bytes), (1, 7));
        assert_eq!(outcome.found.len(), 1, "{outcome:?}");
        assert!(outcome.found[0].in_name && !outcome.is_clean());
        assert!(scan(&folder.path().join("nowhere"), &needles(&["x"])).is_err());
        assert!(matches!(scan(&inside, &[]), Err(ScanError::NoNeedle)));
    }
}

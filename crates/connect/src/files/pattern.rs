//! Files by a pattern of their names.

use std::path::{Path, PathBuf};

use super::FileError;

/// Whether a path stands for those whose names fit: its last part has `*` or `?`, and it is no file's name.
#[must_use]
pub fn is_pattern(path: &Path) -> bool {
    path.file_name().is_some_and(|name| has_wildcard(Path::new(name))) && !path.exists()
}

fn has_wildcard(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?'])
}

/// The files that a path names: itself, or where its last part has `*` (any letters) or `?` (any one) and is
/// no file's name, those in its folder whose names fit, in the order of their names. Hidden ones are left
/// out: files that are being written are.
///
/// # Errors
/// The folder cannot be read, or none fits.
pub fn matching(pattern: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !is_pattern(pattern) {
        return Ok(vec![pattern.to_owned()]);
    }
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if has_wildcard(folder) && !folder.exists() {
        return Err(FileError::Folders(pattern.to_owned()));
    }
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(FileError::io(folder))? {
        let entry = entry.map_err(FileError::io(folder))?;
        let found = entry.file_name().to_string_lossy().into_owned();
        if fits(&found, &name) && !found.starts_with('.') && entry.path().is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    if paths.is_empty() { Err(FileError::NoneFits(pattern.to_owned())) } else { Ok(paths) }
}

/// Whether a name fits a pattern. A star takes as little as it can; where that fails, the last one takes one
/// letter more.
fn fits(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut at, mut on) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(on) {
            Some('*') => {
                star = Some((at, on + 1));
                on += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[at] => (at, on) = (at + 1, on + 1),
            _ => {
                let Some((taken, after)) = star else { return false };
                star = Some((taken + 1, after));
                (at, on) = (taken + 1, after);
            }
        }
    }
    pattern[on..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (name, pattern) in
            [("a.csv", "*.csv"), ("a.csv", "?.csv"), ("aabab", "*ab"), ("", "*"), ("part-01.pq", "p*-??.*")]
        {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("a.csv", "*.cs"), ("ab.csv", "?.csv"), ("a", ""), ("abc", "a*b"), ("", "?")]
        {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
        // Not in the square of its length, or worse.
        assert!(!fits(&"a".repeat(20_000), &format!("{}b", "*a".repeat(20))));
    }
}

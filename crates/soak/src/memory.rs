//! The memory of a process, seen from outside: from what Linux tells of it. Other systems tell nothing.

use std::fs;

/// KiB in memory now, and the most there ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

/// The memory of the process of this id, if the system tells it.
pub(crate) fn of_process(id: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
}

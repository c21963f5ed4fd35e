//! A `#commit` frame as today's servers write it, taken in by one pass of fixed shapes.
//!
//! Nearly every frame of a repository stream has this form: known keys in canonical order, heads in their
//! minimal form, values of the expected types. Here it is recognised or not, without errors to carry along;
//! what is not recognised, for whatever reason, is read by its keys
//! ([`Envelope`](super::envelope::Envelope)), which also says what is wrong. So this accepts nothing that the
//! general way refuses, and gives what it gives.

use super::Action;

/// What a stream is read by, of a `#commit`. Texts are not checked to be UTF-8; offsets count from the start
/// of the frame.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(any(feature = "arrow", test)), expect(dead_code, reason = "offsets are for columns"))]
pub(crate) struct Usual<'a> {
    pub(crate) seq: u64,
    pub(crate) time: &'a [u8],
    /// Offset of the item `rev`, and its text.
    pub(crate) rev: usize,
    pub(crate) rev_text: &'a [u8],
    /// Offset of the item `repo`, and its text.
    pub(crate) repo: usize,
    pub(crate) repo_text: &'a [u8],
    /// Whether `blobs` is there; it is empty then.
    pub(crate) blobs: bool,
    pub(crate) since: Option<&'a [u8]>,
    pub(crate) blocks: &'a [u8],
    /// Bytes of CIDs are not checked; none where they are null or not there.
    pub(crate) commit: Option<&'a [u8; 36]>,
    pub(crate) rebase: Option<bool>,
    pub(crate) too_big: Option<bool>,
    pub(crate) prev_data: Option<&'a [u8; 36]>,
}

/// An operation in the usual form.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(any(feature = "arrow", test)), expect(dead_code, reason = "offsets are for columns"))]
pub(crate) struct UsualOp<'a> {
    /// The text of its path.
    pub(crate) path: &'a [u8],
    /// Offset of that text's end.
    pub(crate) path_end: usize,
    pub(crate) action: Action,
    /// The bytes of its CID, not checked; none if it is null.
    pub(crate) cid: Option<&'a [u8; 36]>,
    /// The same of its CID before.
    pub(crate) prev: Option<&'a [u8; 36]>,
}

/// What every link starts with: tag 42, a byte string of 37 bytes, the zero of the identity multibase.
const LINK: &[u8; 5] = &[0xd8, 0x2a, 0x58, 0x25, 0x00];
const NULL: u8 = 0xf6;

/// Reads the payload of a `#commit` in `frame` from `start` on. `visit` is told each operation with its
/// place, and may say by none that the general way is needed after all.
#[inline]
pub(crate) fn read<'a>(
    frame: &'a [u8],
    start: usize,
    mut visit: impl FnMut(usize, UsualOp<'a>) -> Option<()>,
) -> Option<Usual<'a>> {
    let at = |rest: &[u8]| frame.len() - rest.len();
    let mut rest = frame.get(start..)?;
    let entries = small(&mut rest, 0xa0)?;
    literal(&mut rest, b"\x63ops")?;
    for op in 0..small(&mut rest, 0x80)? {
        let keys = small(&mut rest, 0xa0)?;
        literal(&mut rest, b"\x63cid")?;
        let cid = link(&mut rest)?;
        literal(&mut rest, b"\x64path")?;
        let path = text(&mut rest)?;
        let path_end = at(rest);
        let mut prev = None;
        if keys == 4 {
            literal(&mut rest, b"\x64prev")?;
            prev = link(&mut rest)?;
        } else if keys != 3 {
            return None;
        }
        literal(&mut rest, b"\x66action\x66")?;
        let (action, after) = rest.split_first_chunk::<6>()?;
        let action = match action {
            b"create" => Action::Create,
            b"update" => Action::Update,
            b"delete" => Action::Delete,
            _ => return None,
        };
        rest = after;
        visit(op, UsualOp { path, path_end, action, cid, prev })?;
    }
    literal(&mut rest, b"\x63rev")?;
    let rev = at(rest);
    let rev_text = text(&mut rest)?;
    literal(&mut rest, b"\x63seq")?;
    let seq = unsigned(&mut rest)?;
    literal(&mut rest, b"\x64repo")?;
    let repo = at(rest);
    let repo_text = text(&mut rest)?;
    literal(&mut rest, b"\x64time")?;
    let time = text(&mut rest)?;
    let mut found = 7;
    let blobs = literal(&mut rest, b"\x65blobs\x80").is_some();
    found += usize::from(blobs);
    let mut since = None;
    if literal(&mut rest, b"\x65since").is_some() {
        found += 1;
        if literal(&mut rest, &[NULL]).is_none() {
            since = Some(text(&mut rest)?);
        }
    }
    literal(&mut rest, b"\x66blocks")?;
    let blocks = bytes(&mut rest)?;
    literal(&mut rest, b"\x66commit")?;
    let commit = link(&mut rest)?;
    let (mut rebase, mut too_big, mut prev_data) = (None, None, None);
    if literal(&mut rest, b"\x66rebase").is_some() {
        found += 1;
        rebase = Some(truth(&mut rest)?);
    }
    if literal(&mut rest, b"\x66tooBig").is_some() {
        found += 1;
        too_big = Some(truth(&mut rest)?);
    }
    if literal(&mut rest, b"\x68prevData").is_some() {
        found += 1;
        prev_data = link(&mut rest)?;
    }
    let usual = Usual {
        seq,
        time,
        rev,
        rev_text,
        repo,
        repo_text,
        blobs,
        since,
        blocks,
        commit,
        rebase,
        too_big,
        prev_data,
    };
    (found == entries && rest.is_empty()).then_some(usual)
}

/// Exactly these bytes.
#[inline(always)]
fn literal<const N: usize>(rest: &mut &[u8], expected: &[u8; N]) -> Option<()> {
    let (found, after) = rest.split_first_chunk::<N>()?;
    if found != expected {
        return None;
    }
    *rest = after;
    Some(())
}

/// The head of a list (0x80) or map (0xa0) of fewer than 24 items.
#[inline(always)]
fn small(rest: &mut &[u8], kind: u8) -> Option<usize> {
    let (&head, after) = rest.split_first()?;
    let items = head.wrapping_sub(kind);
    if items >= 24 {
        return None;
    }
    *rest = after;
    Some(usize::from(items))
}

/// A text of fewer than 256 bytes.
#[inline(always)]
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&head, after) = rest.split_first()?;
    let (length, after) = match head {
        0x60..=0x77 => (head - 0x60, after),
        0x78 => {
            let (&length, after) = after.split_first()?;
            (if length < 24 { return None } else { length }, after)
        }
        _ => return None,
    };
    let (text, after) = after.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(text)
}

/// A byte string of 256 bytes or more, as blocks are.
#[inline(always)]
fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&head, after) = rest.split_first()?;
    let (length, after) = match head {
        0x59 => {
            let (length, after) = after.split_first_chunk()?;
            (u32::from(u16::from_be_bytes(*length)), after)
        }
        0x5a => {
            let (length, after) = after.split_first_chunk()?;
            let length = u32::from_be_bytes(*length);
            (if length < 0x1_0000 { return None } else { length }, after)
        }
        _ => return None,
    };
    if length < 0x100 {
        return None;
    }
    let (bytes, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(bytes)
}

/// An unsigned integer of more than 16 bits, as sequence numbers are.
#[inline(always)]
fn unsigned(rest: &mut &[u8]) -> Option<u64> {
    let (&head, after) = rest.split_first()?;
    let (value, after, least) = match head {
        0x1b => {
            let (value, after) = after.split_first_chunk()?;
            (u64::from_be_bytes(*value), after, 0x1_0000_0000)
        }
        0x1a => {
            let (value, after) = after.split_first_chunk()?;
            (u64::from(u32::from_be_bytes(*value)), after, 0x1_0000)
        }
        _ => return None,
    };
    if value < least {
        return None;
    }
    *rest = after;
    Some(value)
}

/// A link of the usual length, or null.
#[inline(always)]
fn link<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8; 36]>> {
    let (&head, after) = rest.split_first()?;
    if head == NULL {
        *rest = after;
        return Some(None);
    }
    literal(rest, LINK)?;
    let (cid, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(Some(cid))
}

/// `true` or `false`.
#[inline(always)]
fn truth(rest: &mut &[u8]) -> Option<bool> {
    let (&head, after) = rest.split_first()?;
    if head & 0xfe != 0xf4 {
        return None;
    }
    *rest = after;
    Some(head == 0xf5)
}

#[cfg(test)]
mod tests {
    use super::super::envelope::Envelope;
    use super::super::{Commit, Message, Op, Path};
    use super::*;
    use crate::cbor::Cursor;
    use crate::cid::Cid;
    use crate::frame;

    /// The header of a `#commit`.
    const START: usize = 15;

    fn written() -> Vec<u8> {
        let path = |rkey| Path { collection: "app.bsky.feed.post", rkey };
        let cid = Cid::for_dag_cbor(b"record");
        let blocks = [7; 300];
        let commit = Commit {
            ops: vec![
                Op { cid: Some(cid), path: path("a"), prev: None, action: Action::Create },
                Op { cid: Some(cid), path: path("b"), prev: Some(cid), action: Action::Update },
                Op { cid: None, path: path("c"), prev: Some(cid), action: Action::Delete },
            ],
            rev: "3mptbypluud2a",
            seq: 31_527_015_322,
            prev: None,
            repo: "did:plc:wq4aajammjtxdomz3e23667t",
            time: "2026-07-04T14:38:07.517Z",
            blobs: Some(vec![]),
            since: Some("3mptbyp63ih2m"),
            blocks: &blocks,
            commit: cid,
            rebase: Some(false),
            too_big: Some(false),
            prev_data: Some(cid),
        };
        Message::Commit(commit).to_frame_bytes()
    }

    /// What a stream is read by, in both ways: seq, time, rev, repo, blocks.
    type Read<'a> = (u64, &'a [u8], usize, usize, &'a [u8]);

    fn usual(frame: &[u8]) -> Option<Read<'_>> {
        let usual = read(frame, START, |_, _| Some(()))?;
        Some((usual.seq, usual.time, usual.rev, usual.repo, usual.blocks))
    }

    fn general(frame: &[u8]) -> Option<Read<'_>> {
        let mut cursor = Cursor::at(frame, START);
        let envelope = Envelope::read(&mut cursor, |ops| Ok(ops.skip()?)).ok()?;
        frame::end(&cursor).ok()?;
        let places = (envelope.rev.position(), envelope.repo.position());
        Some((envelope.seq, envelope.time, places.0, places.1, envelope.blocks))
    }

    /// The whole message, read by its keys.
    fn by_keys(frame: &[u8]) -> Option<Message<'_>> {
        Message::parse(&frame::Frame::parse(frame).ok()?).ok()
    }

    #[test]
    fn todays_form_is_recognised_and_read_as_by_its_keys() {
        let frame = written();
        assert!(usual(&frame).is_some());
        assert!(Commit::usual(&frame, START).is_some());
        assert_eq!(Commit::usual(&frame, START).map(Message::Commit), by_keys(&frame));
        assert_eq!(usual(&frame), general(&frame));
        let mut ops = Vec::new();
        read(&frame, START, |at, op| {
            let range = op.path_end - op.path.len()..op.path_end;
            ops.push((at, op.action, op.cid.is_some(), &frame[range] == op.path));
            Some(())
        });
        let expected = [(Action::Create, true), (Action::Update, true), (Action::Delete, false)];
        let expected = expected.into_iter().enumerate().map(|(at, (action, cid))| (at, action, cid, true));
        assert_eq!(ops, expected.collect::<Vec<_>>());
        assert!(read(&frame, START, |_, _| None).is_none(), "the visitor can refuse");
    }

    #[test]
    fn whatever_it_accepts_the_general_way_accepts_alike() {
        let frame = written();
        let (mut accepted, mut refused, mut whole) = (0, 0, 0);
        for at in START..frame.len() {
            // The time's text is checked by who reads it, and may be no UTF-8 here.
            for value in 0..=0x7f {
                let mut damaged = frame.clone();
                damaged[at] = value;
                match usual(&damaged) {
                    Some(read) => {
                        accepted += 1;
                        assert_eq!(general(&damaged), Some(read), "byte {at} is {value:#x}");
                    }
                    None => refused += 1,
                }
                match Commit::usual(&damaged, START) {
                    Some(commit) => {
                        whole += 1;
                        assert_eq!(
                            by_keys(&damaged),
                            Some(Message::Commit(commit)),
                            "byte {at} is {value:#x}"
                        );
                    }
                    None => assert_eq!(Message::from_bytes(&damaged).ok(), by_keys(&damaged)),
                }
            }
            assert_eq!(usual(&frame[..at]), None, "cut off at {at}");
        }
        assert!(accepted > 10_000 && refused > 10_000 && whole > 10_000, "{accepted} {refused} {whole}");
        let longer = [frame.as_slice(), &[0]].concat();
        assert_eq!(usual(&longer), None);
    }
}

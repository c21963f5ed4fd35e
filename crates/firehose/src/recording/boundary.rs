//! Where zstd's own frames end in a file, told from their headers alone: what is cut off at the end of it is
//! not whole, and nothing that follows it could be read.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// The beginning of a frame.
const FRAME: u32 = 0xFD2F_B528;

/// The beginning of a frame that is skipped, but for its last four bits.
const SKIPPABLE: u32 = 0x184D_2A50;

/// The byte up to which a file has whole zstd frames, from its beginning on.
pub(super) fn whole_until(file: impl Read + Seek) -> io::Result<u64> {
    let mut walk = Walk { file: BufReader::new(file), at: 0, length: 0 };
    walk.length = walk.file.seek(SeekFrom::End(0))?;
    walk.file.seek(SeekFrom::Start(0))?;
    loop {
        let whole = walk.at;
        if walk.frame()?.is_none() {
            return Ok(whole);
        }
    }
}

/// A walk over a file, which is at a byte of it.
struct Walk<F> {
    file: BufReader<F>,
    at: u64,
    length: u64,
}

impl<F: Read + Seek> Walk<F> {
    /// Passes a frame; none where there is no whole one.
    fn frame(&mut self) -> io::Result<Option<()>> {
        let Some(magic) = self.number(4)? else { return Ok(None) };
        if magic & !0xF == SKIPPABLE {
            return match self.number(4)? {
                Some(size) => self.skip(size.into()),
                None => Ok(None),
            };
        }
        let Some(descriptor) = self.number(1)?.filter(|_| magic == FRAME) else { return Ok(None) };
        let is_single = descriptor & 0x20 != 0;
        let window = u64::from(!is_single);
        let dictionary = [0, 1, 2, 4][(descriptor & 3) as usize];
        let size = match descriptor >> 6 {
            0 => u64::from(is_single),
            flag => 1 << flag,
        };
        if self.skip(window + dictionary + size)?.is_none() {
            return Ok(None);
        }
        loop {
            let Some(block) = self.number(3)? else { return Ok(None) };
            let bytes = match block >> 1 & 3 {
                // One byte, again and again.
                1 => 1,
                0 | 2 => block >> 3,
                _ => return Ok(None),
            };
            if self.skip(bytes.into())?.is_none() {
                return Ok(None);
            }
            if block & 1 == 1 {
                break;
            }
        }
        let checksum = if descriptor & 4 == 0 { 0 } else { 4 };
        self.skip(checksum)
    }

    /// A little-endian number of up to four bytes.
    fn number(&mut self, bytes: usize) -> io::Result<Option<u32>> {
        if self.length - self.at < bytes as u64 {
            return Ok(None);
        }
        let mut number = [0; 4];
        self.file.read_exact(&mut number[..bytes])?;
        self.at += bytes as u64;
        Ok(Some(u32::from_le_bytes(number)))
    }

    fn skip(&mut self, bytes: u64) -> io::Result<Option<()>> {
        if self.length - self.at < bytes {
            return Ok(None);
        }
        self.file.seek_relative(bytes.cast_signed())?;
        self.at += bytes;
        Ok(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// Frames as different encoders make them, and what stands between them.
    static FRAMES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let noise: Vec<u8> =
            (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let mut streamed = zstd::Encoder::new(Vec::new(), 3).unwrap();
        streamed.include_checksum(true).unwrap();
        io::Write::write_all(&mut streamed, &noise).unwrap();
        vec![
            zstd::bulk::compress(b"a few", 3).unwrap(),
            zstd::bulk::compress(&noise, 1).unwrap(),
            zstd::bulk::compress(&[7; 100_000], 3).unwrap(),
            b"\x53\x2a\x4d\x18\x05\x00\x00\x00index".to_vec(),
            streamed.finish().unwrap(),
        ]
    });

    #[test]
    fn frames_are_whole_up_to_where_they_are_cut_off() {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for frame in FRAMES.iter() {
            bytes.extend(frame);
            ends.push(bytes.len());
        }
        for length in (0..bytes.len()).step_by(97).chain(ends.iter().copied()) {
            let whole = ends.iter().rev().find(|end| **end <= length).unwrap();
            assert_eq!(whole_until(Cursor::new(&bytes[..length])).unwrap(), *whole as u64, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, which in 0..5_usize, at: prop::sample::Index, byte: u8) {
            whole_until(Cursor::new(&bytes)).unwrap();
            let mut damaged = FRAMES[which].clone();
            let at = at.index(damaged.len().min(64));
            damaged[at] = byte;
            prop_assert!(whole_until(Cursor::new(&damaged)).unwrap() <= damaged.len() as u64);
        }
    }
}

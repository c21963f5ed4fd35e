//! Signing keys of accounts: K-256 and P-256, deterministic (RFC 6979), low-S, compact.
//!
//! Deriving the public point costs as much as a signature, so a key is made from its secret when it is first used: a
//! network of 100,000 accounts starts at once.

use std::cell::OnceCell;

use k256::FieldBytes;
use k256::ecdsa::signature::Signer;
use k256::elliptic_curve::ops::ReduceNonZero;

use crate::rng::Chance;

/// The two curves of the AT Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// secp256k1, which nearly all real accounts use.
    K256,
    /// NIST P-256, secp256r1.
    P256,
}

/// A secret scalar, and the key made from it when it is first needed.
pub(crate) struct Key {
    curve: Curve,
    secret: [u8; 32],
    ready: OnceCell<Ready>,
}

enum Ready {
    K256(k256::ecdsa::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl Key {
    pub(crate) fn new(curve: Curve, chance: &mut Chance) -> Self {
        Self { curve, secret: chance.bytes(), ready: OnceCell::new() }
    }

    pub(crate) fn curve(&self) -> Curve {
        self.curve
    }

    /// The public key as the AT Protocol writes it: `did:key:z` and base58btc of the curve's multicodec
    /// prefix and the compressed point.
    pub(crate) fn did_key(&self) -> String {
        let (prefix, point) = match self.ready() {
            Ready::K256(key) => ([0xe7, 0x01], key.verifying_key().to_sec1_bytes()),
            Ready::P256(key) => ([0x80, 0x24], key.verifying_key().to_sec1_point(true).to_bytes()),
        };
        format!("did:key:z{}", base58(&[&prefix, &*point].concat()))
    }

    /// The compact signature (r, then s) of `message`, which is hashed with SHA-256; s is in the lower half
    /// of the order.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self.ready() {
            Ready::K256(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().into()
            }
            Ready::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().into()
            }
        }
    }

    /// Any 32 bytes make a scalar: they are reduced into 1 to the group's order less 1.
    fn ready(&self) -> &Ready {
        let secret = FieldBytes::from(self.secret);
        self.ready.get_or_init(|| match self.curve {
            Curve::K256 => Ready::K256(k256::NonZeroScalar::reduce_nonzero(&secret).into()),
            Curve::P256 => Ready::P256(p256::NonZeroScalar::reduce_nonzero(&secret).into()),
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("curve", &self.curve).finish_non_exhaustive()
    }
}

/// Base58 with Bitcoin's alphabet.
fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes.iter().skip(zeros) {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let digits = digits.iter().rev().map(|digit| char::from(ALPHABET[usize::from(*digit)]));
    std::iter::repeat_n('1', zeros).chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base58_is_bitcoins() {
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(&[0, 0, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
        assert_eq!(base58(&[]), "");
    }

    #[test]
    fn keys_are_named_by_their_curve() {
        let mut chance = Chance::new(1, 0);
        assert!(Key::new(Curve::K256, &mut chance).did_key().starts_with("did:key:zQ3s"));
        assert!(Key::new(Curve::P256, &mut chance).did_key().starts_with("did:key:zDn"));
    }

    #[test]
    fn every_secret_signs() {
        for secret in [[0; 32], [0xff; 32]] {
            for curve in [Curve::K256, Curve::P256] {
                let key = Key { curve, secret, ready: OnceCell::new() };
                assert_eq!(key.sign(b"a"), key.sign(b"a"));
                assert_ne!(key.sign(b"a"), key.sign(b"b"));
            }
        }
    }
}

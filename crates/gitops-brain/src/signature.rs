//! Signatures of events: HMAC over the body, in the header `X-Signature` of Flux's `generic-hmac`
//! provider.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac, digest::block_api::EagerHash};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::{
    commit::{decode_hex, encode_hex},
    names::shorten,
};

/// The header in which notification-controller sends the signature: `sha256=<64 hex digits>`.
pub const SIGNATURE_HEADER: &str = "X-Signature";

/// The most keys that one [`Verifier`] takes.
///
/// Two are enough to change keys without losing an event; each more makes a forged event dearer to
/// refuse.
pub const MAX_KEYS: usize = 16;

/// The keys with which one cluster signs its events.
///
/// With several keys a signature by any of them is good, so keys can be changed one side at a time.
/// A key with white space around it is tried without it too: notification-controller 1.3 to 1.6
/// trimmed the token of the provider's Secret, other versions do not.
///
/// Keys are wiped from memory when it is dropped, and never shown.
///
/// ```
/// use gitops_brain::{Verifier, sign};
///
/// let verifier = Verifier::new(["new key", "old key"])?;
/// let header = sign(b"old key", b"the body")?;
/// let key = verifier.verify(Some(header.as_bytes()), b"the body").unwrap();
/// assert_eq!(key.as_usize(), 1);
///
/// let error = verifier.verify(Some(header.as_bytes()), b"another body").unwrap_err();
/// assert_eq!(error.code(), "signature.mismatch");
/// # Ok::<(), gitops_brain::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Key>,
}

impl Verifier {
    /// A verifier with these keys: the bytes of the Secret's `token`.
    ///
    /// # Errors
    ///
    /// If there is no key or more than [`MAX_KEYS`], or if one is empty but for white space: anyone
    /// could sign with it.
    pub fn new(keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, KeyError> {
        let mut known = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            if index >= MAX_KEYS {
                return Err(KeyError::TooMany);
            }
            let key = key.as_ref();
            known.push(Key::new(KeyIndex(index), key)?);
            if key.trim_ascii() != key {
                known.push(Key::new(KeyIndex(index), key.trim_ascii())?);
            }
        }
        if known.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { keys: known })
    }

    /// Checks the value of the header [`SIGNATURE_HEADER`] against the body, and tells which key it
    /// was signed with.
    ///
    /// The value is `<algorithm>=<hexadecimal digits>`. Flux signs with `sha256` and says that this
    /// may change; `sha224`, `sha384` and `sha512` are taken too, as by the verifier in its docs.
    ///
    /// The time it takes tells which key was the right one, if any, but nothing about the signature
    /// that the body should have.
    ///
    /// # Errors
    ///
    /// If there is no signature, or it cannot be read, or it is of none of the keys.
    pub fn verify(&self, header: Option<&[u8]>, body: &[u8]) -> Result<KeyIndex, SignatureError> {
        let tag = Tag::parse(header.ok_or(SignatureError::Missing)?)?;
        let signer = self.keys.iter().find(|key| key.signed(&tag, body));
        signer.map(|key| key.index).ok_or(SignatureError::Mismatch)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// The place of a key in the list that [`Verifier::new`] was given, counted from zero.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyIndex(usize);

impl KeyIndex {
    /// The place as a number.
    #[must_use]
    pub fn as_usize(self) -> usize {
        self.0
    }
}

/// The signature that Flux would send with a body: `sha256=<64 lower-case hexadecimal digits>`.
///
/// # Errors
///
/// If the key is empty but for white space. Flux's forwarder refuses an empty one too ("HMAC key is
/// empty").
pub fn sign(key: &[u8], body: &[u8]) -> Result<String, KeyError> {
    if key.trim_ascii().is_empty() {
        return Err(KeyError::Empty);
    }
    let tag = keyed::<Sha256>(key).chain_update(body).finalize().into_bytes();
    Ok(format!("sha256={}", encode_hex(&tag, &mut [0; 64])))
}

/// Keys that no signature should be checked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is none.
    #[error("there is no HMAC key: pass the `token` of the Secret that the Flux Provider names")]
    None,
    /// One is empty, or has white space only.
    #[error(
        "an HMAC key is empty, so anyone could sign with it: pass the `token` of the Secret that \
         the Flux Provider names"
    )]
    Empty,
    /// There are more than [`MAX_KEYS`].
    #[error("there are more than {MAX_KEYS} HMAC keys: remove those that are no longer in use")]
    TooMany,
}

impl KeyError {
    /// The stable code: `key.none`, `key.empty` or `key.too_many`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::None => "key.none",
            Self::Empty => "key.empty",
            Self::TooMany => "key.too_many",
        }
    }
}

/// A signature that does not prove who sent the body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// There is none.
    #[error(
        "the request has no signature: set `type: generic-hmac` on the Flux Provider, which sends \
         the header `{SIGNATURE_HEADER}`"
    )]
    Missing,
    /// It is not `<algorithm>=<hexadecimal digits>`, or has a wrong number of digits.
    #[error(
        "the signature `{header}` is malformed: the header `{SIGNATURE_HEADER}` must be \
         `sha256=` and 64 hexadecimal digits"
    )]
    Malformed {
        /// The header's value, shortened.
        header: String,
    },
    /// It is made with an algorithm that proves too little, or that we do not know.
    #[error("signatures with `{algorithm}` are not accepted: use sha256, sha224, sha384 or sha512")]
    UnsupportedAlgorithm {
        /// The algorithm, shortened.
        algorithm: String,
    },
    /// It is not of this body, or not with any of the keys.
    #[error(
        "the signature does not match: the key differs from the `token` of the Flux Provider's \
         Secret, or the body was changed on its way"
    )]
    Mismatch,
}

impl SignatureError {
    /// The stable code: `signature.missing`, `signature.malformed`,
    /// `signature.unsupported_algorithm` or `signature.mismatch`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "signature.missing",
            Self::Malformed { .. } => "signature.malformed",
            Self::UnsupportedAlgorithm { .. } => "signature.unsupported_algorithm",
            Self::Mismatch => "signature.mismatch",
        }
    }
}

/// One key in one of the forms that a sender may use it in.
#[derive(Clone)]
struct Key {
    index: KeyIndex,
    bytes: Zeroizing<Box<[u8]>>,
    /// Flux signs with this algorithm, so its state with the key in it is kept; it wipes itself.
    sha256: Hmac<Sha256>,
}

impl Key {
    fn new(index: KeyIndex, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.trim_ascii().is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self { index, bytes: Zeroizing::new(bytes.into()), sha256: keyed::<Sha256>(bytes) })
    }

    fn signed(&self, tag: &Tag, body: &[u8]) -> bool {
        match tag {
            Tag::Sha224(tag) => matches(keyed::<Sha224>(&self.bytes), tag, body),
            Tag::Sha256(tag) => matches(self.sha256.clone(), tag, body),
            Tag::Sha384(tag) => matches(keyed::<Sha384>(&self.bytes), tag, body),
            Tag::Sha512(tag) => matches(keyed::<Sha512>(&self.bytes), tag, body),
        }
    }
}

/// The signature that a header carries.
enum Tag {
    Sha224([u8; 28]),
    Sha256([u8; 32]),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
}

impl Tag {
    fn parse(header: &[u8]) -> Result<Self, SignatureError> {
        let text = |bytes| shorten(&String::from_utf8_lossy(bytes));
        let malformed = || SignatureError::Malformed { header: text(header) };
        let mut parts = header.splitn(2, |byte| *byte == b'=');
        let (algorithm, digits) = parts.next().zip(parts.next()).ok_or_else(malformed)?;
        let tag = match algorithm.to_ascii_lowercase().as_slice() {
            b"sha224" => decode_hex(digits).map(Self::Sha224),
            b"sha256" => decode_hex(digits).map(Self::Sha256),
            b"sha384" => decode_hex(digits).map(Self::Sha384),
            b"sha512" => decode_hex(digits).map(Self::Sha512),
            _ => return Err(SignatureError::UnsupportedAlgorithm { algorithm: text(algorithm) }),
        };
        tag.ok_or_else(malformed)
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
fn keyed<Hash: EagerHash>(key: &[u8]) -> Hmac<Hash>
where
    Hmac<Hash>: KeyInit,
{
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Compares in constant time.
fn matches(mac: impl Mac, tag: &[u8], body: &[u8]) -> bool {
    mac.chain_update(body).verify_slice(tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From notification-controller's `internal/notifier/forwarder_test.go`.
    const KEY: &str = "7152fed34dd6149a7c75a276c510da27cb6f82b0";
    const BODY: &[u8] = br#"{"involvedObject":{"kind":"GitRepository","namespace":"gitops-system","name":"webapp"},"severity":"info","timestamp":"2022-09-30T06:40:29Z","message":"message","reason":"reason","metadata":{"test":"metadata"},"reportingController":"source-controller","reportingInstance":"source-controller-xyz"}"#;
    const HEADER: &str = "sha256=65b018549b1254e7226d1c08f9567ee45bc9de0fc4e7b1a40253f9a018b08be7";

    /// RFC 4231, test cases 1, 2 and 6: key, data, and the tag of each algorithm.
    const RFC_4231: [(&[u8], &[u8], [&str; 4]); 3] = [
        (
            &[0x0b; 20],
            b"Hi There",
            [
                "sha224=896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22",
                "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                "sha384=afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c\
                 faea9ea9076ede7f4af152e8b2fa9cb6",
                "sha512=87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
                 daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ],
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            [
                "sha224=a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
                "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "sha384=af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                 8e2240ca5e69e2c78b3239ecfab21649",
                "sha512=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ],
        ),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            [
                "sha224=95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e",
                "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                "sha384=4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6\
                 0c2ef6ab4030fe8296248df163f44952",
                "sha512=80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ],
        ),
    ];

    #[test]
    fn what_flux_signs_is_accepted() {
        assert_eq!(sign(KEY.as_bytes(), BODY).unwrap(), HEADER);
        assert_eq!(verify(&[KEY], HEADER, BODY), Ok(KeyIndex(0)));
        assert_eq!(verify(&[KEY], &HEADER.to_uppercase(), BODY), Ok(KeyIndex(0)));
    }

    #[test]
    fn one_changed_byte_is_refused_wherever_it_is() {
        let verifier = Verifier::new([KEY]).unwrap();
        for position in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[position] ^= 1;
            let refused = verifier.verify(Some(HEADER.as_bytes()), &body);
            assert_eq!(refused, Err(SignatureError::Mismatch), "{position}");
        }
        for position in "sha256=".len()..HEADER.len() {
            let mut header = HEADER.as_bytes().to_vec();
            header[position] = if header[position] == b'0' { b'1' } else { b'0' };
            let refused = verifier.verify(Some(&header), BODY);
            assert_eq!(refused, Err(SignatureError::Mismatch), "{position}");
        }
    }

    #[test]
    fn every_algorithm_gives_the_tags_of_rfc_4231() {
        for (key, data, headers) in RFC_4231 {
            let verifier = Verifier::new([key]).unwrap();
            for header in headers {
                let verified = verifier.verify(Some(header.as_bytes()), data);
                assert_eq!(verified, Ok(KeyIndex(0)), "{header}");
                let refused = verifier.verify(Some(header.as_bytes()), b"something else");
                assert_eq!(refused, Err(SignatureError::Mismatch), "{header}");
            }
            assert_eq!(sign(key, data).unwrap(), headers[1]);
        }
    }

    #[test]
    fn any_of_several_keys_will_do() {
        let keys = ["new", "old", "oldest"];
        for (index, key) in keys.into_iter().enumerate() {
            let header = sign(key.as_bytes(), BODY).unwrap();
            assert_eq!(verify(&keys, &header, BODY), Ok(KeyIndex(index)));
        }
        let header = sign(b"older still", BODY).unwrap();
        assert_eq!(verify(&keys, &header, BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_key_counts_with_and_without_white_space_around_it() {
        let keys = ["first", " \tkey\n"];
        for key in [" \tkey\n", "key"] {
            let header = sign(key.as_bytes(), BODY).unwrap();
            assert_eq!(verify(&keys, &header, BODY), Ok(KeyIndex(1)), "{key:?}");
        }
        // White space is only ever taken away.
        let header = sign(b"key\n", BODY).unwrap();
        assert_eq!(verify(&["key"], &header, BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let verifier = Verifier::new([KEY]).unwrap();
        assert_eq!(verifier.verify(None, BODY).unwrap_err().code(), "signature.missing");
        let digits = HEADER.strip_prefix("sha256=").unwrap();
        for header in [
            "",
            "sha256",
            "sha256=",
            digits,
            &format!("{HEADER}0"),
            &format!("{HEADER}00"),
            &format!("sha256={HEADER}"),
            &format!("sha512={digits}"),
            &HEADER.replace('b', "g"),
            &format!("{HEADER} "),
            &"é".repeat(32),
        ] {
            let error = verify(&[KEY], header, BODY).unwrap_err();
            assert_eq!(error.code(), "signature.malformed", "{header}");
        }
        for algorithm in ["sha1", "md5", "", "sha-256", " sha256", "none"] {
            let error = verify(&[KEY], &format!("{algorithm}={digits}"), BODY).unwrap_err();
            assert_eq!(error.code(), "signature.unsupported_algorithm", "{algorithm}");
            assert!(error.to_string().contains("use sha256"), "{error}");
        }
        let error = verifier.verify(Some(b"\xff\n=00"), BODY).unwrap_err();
        assert_eq!(error.code(), "signature.unsupported_algorithm");
        assert!(error.to_string().contains("`\u{fffd}\\n`"), "{error}");
    }

    #[test]
    fn keys_that_prove_nothing_are_refused() {
        let code = |keys: &[&str]| Verifier::new(keys).unwrap_err().code();
        assert_eq!(code(&[]), "key.none");
        assert_eq!(code(&["key", ""]), "key.empty");
        assert_eq!(code(&[" \n"]), "key.empty");
        assert_eq!(code(&["key"; MAX_KEYS + 1]), "key.too_many");
        assert!(Verifier::new(["key"; MAX_KEYS]).is_ok());
        assert_eq!(sign(b"", BODY), Err(KeyError::Empty));
    }

    #[test]
    fn keys_are_neither_shown_nor_left_in_memory() {
        fn wipes_itself<T: zeroize::ZeroizeOnDrop>() {}

        let verifier = Verifier::new(["hunter2"]).unwrap();
        assert_eq!(format!("{verifier:?}"), "Verifier { .. }");
        wipes_itself::<Zeroizing<Box<[u8]>>>();
        // An HMAC is two states of its hash, and has no mark of its own.
        wipes_itself::<Sha256>();
    }

    fn verify(keys: &[&str], header: &str, body: &[u8]) -> Result<KeyIndex, SignatureError> {
        Verifier::new(keys).unwrap().verify(Some(header.as_bytes()), body)
    }
}

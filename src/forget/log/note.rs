//! Signed notes of C2SP `signed-note@v1`: a text, an empty line, and lines `— name base64(key id ‖
//! signature)`.
//!
//! Only Ed25519 (type 0x01) is signed and verified. Only the canonical form is read: writing it again
//! gives the same bytes.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use crate::forget::command::signing::{PublicKey, SigningKey};

/// Longest note, in bytes. Our own notes have about 300.
const MAX_BYTES: usize = 64 << 10;
/// Largest number of signatures of a note. The specification requires at least 16.
const MAX_SIGNATURES: usize = 64;
const ED25519: u8 = 0x01;
/// An em dash and a space.
const MARK: &str = "\u{2014} ";

/// The key that must have signed a note: `name+hex(key id)+base64(0x01 ‖ public key)`, as Go's
/// `sumdb/note` prints it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    name: String,
    public: PublicKey,
}

/// A text is not a verifier key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is not a verifier key: expected name+8 hex digits+base64 of an Ed25519 key")]
pub struct NotAKey;

impl VerifierKey {
    /// # Errors
    /// [`NotAKey`] for a name that is empty or contains a space, a plus or a control character.
    pub fn new(name: &str, public: PublicKey) -> Result<Self, NotAKey> {
        if is_name(name) { Ok(Self { name: name.to_owned(), public }) } else { Err(NotAKey) }
    }

    /// # Errors
    /// [`NotAKey`], also if the key id does not belong to the name and the key.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let (name, rest) = text.split_once('+').ok_or(NotAKey)?;
        let (_, key) = rest.split_once('+').ok_or(NotAKey)?;
        let key = STANDARD.decode(key).map_err(|_| NotAKey)?;
        let [ED25519, public @ ..] = key.as_slice() else { return Err(NotAKey) };
        let key = Self::new(name, PublicKey(public.try_into().map_err(|_| NotAKey)?))?;
        if key.to_string() == text { Ok(key) } else { Err(NotAKey) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name ‖ 0x0a ‖ 0x01 ‖ public key).
    fn id(&self) -> [u8; 4] {
        let named = [self.name.as_bytes(), b"\n", &[ED25519], &self.public.0].concat();
        digest(&SHA256, &named).as_ref()[..4].try_into().expect("four of 32 bytes")
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [&[ED25519], self.public.0.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(key))
    }
}

/// Whether a name is not empty, and contains no Unicode space, no plus and no ASCII control character
/// below the space.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c < ' ' || c == '+')
}

/// A note as it was read. Its signatures are not verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The signed text, including its last newline.
    pub text: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Signature {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// The reason why a note cannot be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotANote {
    #[error("it is not a signed note")]
    Form,
    #[error("it is not signed with the expected key")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
}

impl Note {
    /// Signs a text under a name. The text must end with a newline, and newlines must be its only
    /// control characters.
    pub fn sign(text: String, name: &str, key: &SigningKey) -> Self {
        let verifier = VerifierKey { name: name.to_owned(), public: key.public() };
        let signature = key.sign(text.as_bytes()).to_vec();
        let signature = Signature { name: name.to_owned(), id: verifier.id(), signature };
        Self { text, signatures: vec![signature] }
    }

    /// # Errors
    /// [`NotANote::Form`].
    pub fn parse(note: &str) -> Result<Self, NotANote> {
        let is_control = |byte: u8| byte < 0x20 && byte != b'\n';
        if note.len() > MAX_BYTES || note.bytes().any(is_control) {
            return Err(NotANote::Form);
        }
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NotANote::Form)?;
        let lines = signatures.strip_suffix('\n').ok_or(NotANote::Form)?.split('\n');
        let signatures: Vec<_> = lines.map(Signature::parse).collect::<Option<_>>().ok_or(NotANote::Form)?;
        // At most one signature per key: libraries handle a second signature in different ways.
        let keys: HashSet<_> = signatures.iter().map(|signature| (&signature.name, signature.id)).collect();
        if keys.len() != signatures.len() || signatures.len() > MAX_SIGNATURES {
            return Err(NotANote::Form);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// Checks that the key has signed the text. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NotANote::UnknownKey`], or [`NotANote::Signature`] if a signature names this key but was
    /// not made with it.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NotANote> {
        let id = key.id();
        let ours = self.signatures.iter().find(|signature| signature.name == key.name && signature.id == id);
        let ours = ours.ok_or(NotANote::UnknownKey)?;
        let is_good = key.public.has_signed(self.text.as_bytes(), &ours.signature);
        if is_good { Ok(()) } else { Err(NotANote::Signature) }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|Signature { name, id, signature }| {
            writeln!(f, "{MARK}{name} {}", STANDARD.encode([id.as_slice(), signature].concat()))
        })
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(MARK)?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (id, signature) = bytes.split_first_chunk()?;
        let is_whole = is_name(name) && !signature.is_empty();
        is_whole.then(|| Self { name: name.to_owned(), id: *id, signature: signature.to_vec() })
    }
}

//! Structured inputs, for which seeds can be written. The fields follow each other. A missing field is zero
//! or empty, so every input has a meaning.

/// The fields of an input that are not read yet.
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn of(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.take(N);
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }

    /// Reads u16 len ‖ bytes; fewer bytes if the input ends.
    pub fn sized(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.take(usize::from(len))
    }

    /// Reads the same as text. Bytes that are not UTF-8 give an empty text.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.sized()).unwrap_or_default()
    }

    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Returns u16 len ‖ bytes, as [`Fields::sized`] reads them.
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a seed's field is short");
    [&len.to_be_bytes(), bytes].concat()
}

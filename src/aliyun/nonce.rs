//! Nonces: each request has one, and none comes twice.

use std::fmt;

/// Where nonces come from.
pub trait Nonces: fmt::Debug + Send + Sync {
    /// A text that no other request had: ASCII letters and digits.
    fn fresh(&self) -> String;
}

/// 128 bits of the operating system's random numbers, in hexadecimal digits.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomNonces;

impl Nonces for RandomNonces {
    fn fresh(&self) -> String {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        format!("{:032x}", u128::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nonces_are_32_digits_and_differ() {
        let nonces: HashSet<String> = (0..1000).map(|_| RandomNonces.fresh()).collect();
        assert_eq!(nonces.len(), 1000);
        assert!(
            nonces
                .iter()
                .all(|nonce| nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit()))
        );
    }
}

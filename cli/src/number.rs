//! Parsers of numbers on the command line: integers, decimal or 0x hexadecimal, and probabilities.
//! Their options allow hyphens, so that a negative number is reported as a wrong value and not as
//! an unknown option.

use wgpu_dropout::DropoutRate;

/// An unsigned integer: only digits, decimal or after 0x.
pub fn integer<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    // `from_str_radix` would also take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err("give an integer from 0 on, decimal or 0x hexadecimal".to_owned());
    }
    u64::from_str_radix(digits, radix)
        .ok()
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| format!("the largest value is 2^{} - 1", 8 * size_of::<T>()))
}

/// The remedy for a wrong signed integer.
pub const SIGNED: &str = "give an integer from -2^63 to 2^63 - 1";

/// A signed integer: like an unsigned one, or a minus and decimal digits.
pub fn signed(text: &str) -> Result<i64, String> {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) if !digits.starts_with("0x") => (-1, digits),
        _ => (1, text),
    };
    integer::<u64>(digits)
        .ok()
        .and_then(|value| i64::try_from(minus * i128::from(value)).ok())
        .ok_or_else(|| SIGNED.to_owned())
}

/// Whole seconds.
pub fn seconds(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.fract() != 0.0 => {
            Err("give whole seconds; 0 makes only five rounds".to_owned())
        }
        _ => integer(text),
    }
}

/// `N` words of 32 bits, separated by commas.
pub fn words<const N: usize>(text: &str) -> Result<[u32; N], String> {
    let words = text
        .split(',')
        .map(integer)
        .collect::<Result<Vec<u32>, _>>()?;
    let given = words.len();
    words
        .try_into()
        .map_err(|_| format!("give {N} numbers separated by commas, not {given}"))
}

/// A probability of dropping.
pub fn rate(text: &str) -> Result<DropoutRate, String> {
    let p = text.parse().map_err(|_| "give a number from 0 to 1")?;
    DropoutRate::new(p).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_decimal_or_hexadecimal() {
        assert_eq!(integer("42"), Ok(42u64));
        assert_eq!(integer("0x2A"), Ok(42u64));
        assert_eq!(integer("0xffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(integer("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "0x", "+1", "-1", "0x+1", "1.0", "1e3", "1_000", " 1", "0X1", "ff", "٣",
        ] {
            assert!(integer::<u64>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn too_large_integers_name_the_largest() {
        let of_32_bits = integer::<u32>("4294967296").unwrap_err();
        assert!(of_32_bits.contains("2^32 - 1"), "{of_32_bits}");
        let of_64_bits = integer::<u64>("18446744073709551616").unwrap_err();
        assert!(of_64_bits.contains("2^64 - 1"), "{of_64_bits}");
    }

    #[test]
    fn signed_integers_have_a_minus_at_most() {
        assert_eq!(signed("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(signed("0x7fffffffffffffff"), Ok(i64::MAX));
        assert_eq!(signed("-0"), Ok(0));
        for text in [
            "",
            "-",
            "--1",
            "+1",
            "-0x1",
            "9223372036854775808",
            "-9223372036854775809",
        ] {
            assert!(signed(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn parts_of_a_second_are_told_apart_from_no_numbers() {
        assert_eq!(seconds("0x10"), Ok(16));
        for (text, part) in [
            ("0.1", "whole seconds"),
            ("1e-3", "whole seconds"),
            ("x", "an integer"),
            ("-1", "an integer"),
            ("18446744073709551616", "2^64 - 1"),
        ] {
            let message = seconds(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn words_are_counted() {
        assert_eq!(words("1,0x10"), Ok([1, 16]));
        assert!(words::<2>("1").is_err());
        assert!(words::<2>("1,2,3").is_err());
        assert!(words::<2>("1,").is_err());
    }

    #[test]
    fn rates_are_probabilities() {
        assert_eq!(rate("0.5").map(DropoutRate::p), Ok(0.5));
        for text in ["", "-0.1", "1.1", "nan", "inf", "half"] {
            assert!(rate(text).is_err(), "{text:?}");
        }
    }
}

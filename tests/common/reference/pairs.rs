//! 16-bit types, as in `shaders/element/*.wgsl`. Conversions search among all numbers of the type.

/// A binary floating-point format of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub name: &'static str,
    significand_bits: u32,
    bias: i32,
}

pub const F16: Format = Format {
    name: "f16",
    significand_bits: 10,
    bias: 15,
};

pub const BF16: Format = Format {
    name: "bf16",
    significand_bits: 7,
    bias: 127,
};

impl Format {
    /// The bits of infinity. NaNs have larger bits.
    pub fn infinity(self) -> u16 {
        0x7FFF >> self.significand_bits << self.significand_bits
    }

    /// The magnitude of `bits`. For infinity: the power of two after the largest number.
    fn magnitude(self, bits: u16) -> f64 {
        let exponent = i32::from(bits >> self.significand_bits);
        let fraction = f64::from(bits & ((1 << self.significand_bits) - 1));
        let one = f64::from(1 << self.significand_bits);
        match exponent {
            0 => fraction / one * 2_f64.powi(1 - self.bias),
            _ => (1.0 + fraction / one) * 2_f64.powi(exponent - self.bias),
        }
    }

    /// The exact number that `bits` stand for.
    pub fn number(self, bits: u16) -> f32 {
        let magnitude = bits & 0x7FFF;
        let number = if magnitude > self.infinity() {
            f32::NAN
        } else if magnitude == self.infinity() {
            f32::INFINITY
        } else {
            self.magnitude(magnitude) as f32
        };
        if bits >> 15 == 1 { -number } else { number }
    }

    /// The bits of the nearest number, ties to even. For a NaN: the bits of some NaN.
    pub fn nearest(self, x: f64) -> u16 {
        if x.is_nan() {
            return self.infinity() + 1;
        }
        let x_magnitude = x.abs();
        // Binary search: numbers up to `below` are at most |x|, those from `above` on are larger.
        let (mut below, mut above) = (0, self.infinity() + 1);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if self.magnitude(middle) <= x_magnitude {
                below = middle;
            } else {
                above = middle;
            }
        }
        let magnitude = if below == self.infinity() {
            below
        } else {
            let down = x_magnitude - self.magnitude(below);
            let up = self.magnitude(above) - x_magnitude;
            if up < down || up == down && above & 1 == 0 {
                above
            } else {
                below
            }
        };
        u16::from(x.is_sign_negative()) << 15 | magnitude
    }
}

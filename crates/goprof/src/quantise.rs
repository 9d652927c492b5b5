//! Weights with fewer digits.

use crate::pprof::Profile;

/// Rounds all values to their `bits` leading binary digits, so that each is off by at most one part in
/// 2^`bits`, and none becomes zero. What chance adds to the later digits is no longer in the bytes.
pub fn quantise(profile: &mut Profile, bits: u32) {
    let values = profile
        .sample
        .iter_mut()
        .flat_map(|sample| &mut sample.value);
    for value in values {
        *value = rounded(*value, bits);
    }
}

fn rounded(value: i64, bits: u32) -> i64 {
    let length = u64::BITS - value.unsigned_abs().leading_zeros();
    let Some(spare @ 1..) = length.checked_sub(bits) else {
        return value;
    };
    let half = 1_u64 << (spare - 1);
    let rounded = (value.unsigned_abs().saturating_add(half)) >> spare << spare;
    i64::try_from(rounded).unwrap_or(i64::MAX) * value.signum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_digits_stay() {
        for (value, expected) in [
            (0, 0),
            (1, 1),
            (15, 15),
            (16, 16),
            (17, 18),
            (0b1_0110_0111, 0b1_0110_0000),
            (0b1_1111_0111, 0b10_0000_0000),
            (-17, -18),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(rounded(value, 4), expected, "{value}");
        }
    }

    #[test]
    fn no_value_is_off_by_more_than_it_is_said_and_a_second_time_changes_nothing() {
        let mut random = 88_172_645_463_325_252_u64;
        for _ in 0..10_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let value = (random >> (random % 60 + 2)) as i64;
            let near = rounded(value, 4);
            assert!((near - value).abs() <= value / 16, "{value} became {near}");
            assert_eq!(rounded(near, 4), near, "{value}");
            assert_eq!(near == 0, value == 0);
        }
    }
}

//! The header that a client asks for its deadline with.
//!
//! A duration and not an instant, so that clocks need not agree. What a client asks for is capped, and an absent header
//! means the default.

use std::time::Duration;

use axum::http::HeaderMap;

use crate::config::Config;

/// How long the client will wait, in milliseconds.
pub const TIMEOUT_MS: &str = "x-timeout-ms";

/// A deadline that is none; the message tells the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{TIMEOUT_MS} has to be one number of milliseconds, from 1 upwards")]
pub struct BadDeadline;

/// How long a request may take.
///
/// # Errors
///
/// If the header is there and not one number, or zero: a client that does not wait has made a mistake.
pub fn of(headers: &HeaderMap, config: &Config) -> Result<Duration, BadDeadline> {
    let mut values = headers.get_all(TIMEOUT_MS).iter();
    let Some(value) = values.next() else { return Ok(config.default_deadline) };
    if values.next().is_some() {
        return Err(BadDeadline);
    }
    let digits = value.to_str().map_err(|_| BadDeadline)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadDeadline);
    }
    // More digits than fit are a long time, not a mistake.
    let asked = digits.parse().map_or(Duration::MAX, Duration::from_millis);
    if asked.is_zero() { Err(BadDeadline) } else { Ok(asked.min(config.longest_deadline)) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::stand_in::nowhere;

    fn asked(values: &[&[u8]]) -> Result<Duration, BadDeadline> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TIMEOUT_MS, HeaderValue::from_bytes(value).expect("it can be sent"));
        }
        of(&headers, &Config::new(nowhere()))
    }

    #[test]
    fn a_number_is_the_deadline_up_to_the_longest_and_nothing_is_the_default() {
        let longest = Config::new(nowhere()).longest_deadline;
        assert_eq!(asked(&[]), Ok(Config::new(nowhere()).default_deadline));
        assert_eq!(asked(&[b"1"]), Ok(Duration::from_millis(1)));
        assert_eq!(asked(&[b"007"]), Ok(Duration::from_millis(7)));
        assert_eq!(asked(&[b"29999"]), Ok(Duration::from_millis(29_999)));
        assert_eq!(asked(&[b"30001"]), Ok(longest));
        assert_eq!(asked(&[b"18446744073709551615"]), Ok(longest));
        assert_eq!(asked(&[b"18446744073709551616"]), Ok(longest));
        assert_eq!(asked(&[&[b'9'; 4000]]), Ok(longest));
    }

    #[test]
    fn everything_else_is_refused() {
        let refused: &[&[u8]] = &[
            b"",
            b" ",
            b"0",
            b"000",
            b"-1",
            b"+1",
            b"1.5",
            b"1e3",
            b"2s",
            b"1 2",
            b"0x10",
            b"NaN",
            b"\xff",
            "１".as_bytes(),
        ];
        for value in refused {
            assert_eq!(asked(&[value]), Err(BadDeadline), "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(asked(&[b"100", b"200"]), Err(BadDeadline));
    }
}

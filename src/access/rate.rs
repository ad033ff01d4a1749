//! Requests a second, for each key and for each address: a token bucket of one second each (GCRA, ITU-T I.371).

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

/// Asked too often; it may ask again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften(pub Duration);

/// Counts requests. Where there is no limit, nothing is counted.
#[derive(Debug, Default)]
pub struct RateLimits {
    per_key: Option<DefaultKeyedRateLimiter<Arc<str>>>,
    per_address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    clock: DefaultClock,
}

impl RateLimits {
    /// Requests a second; `None` is no limit.
    pub fn new(per_key: Option<NonZeroU32>, per_address: Option<NonZeroU32>) -> Self {
        Self {
            per_key: per_key.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            per_address: per_address.map(|rate| RateLimiter::keyed(Quota::per_second(rate))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of the holder of this key.
    pub fn count_key(&self, name: &Arc<str>) -> Result<(), TooOften> {
        self.count(self.per_key.as_ref(), name)
    }

    /// Counts a request from this address. A network has all of an IPv6 /64, so that counts as one.
    pub fn count_address(&self, address: IpAddr) -> Result<(), TooOften> {
        self.count(self.per_address.as_ref(), &network(address))
    }

    /// Forgets who has not asked for a while, so that memory does not grow with everyone who ever did.
    pub fn forget_the_idle(&self) {
        if let Some(limiter) = &self.per_key {
            limiter.retain_recent();
        }
        if let Some(limiter) = &self.per_address {
            limiter.retain_recent();
        }
    }

    fn count<K: Clone + Eq + std::hash::Hash>(
        &self,
        limiter: Option<&DefaultKeyedRateLimiter<K>>,
        key: &K,
    ) -> Result<(), TooOften> {
        let Some(limiter) = limiter else { return Ok(()) };
        limiter.check_key(key).map_err(|until| TooOften(until.wait_time_from(self.clock.now())))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_request_of_two_a_second_is_too_much_and_others_do_not_pay_for_it() {
        let limits = RateLimits::new(None, NonZeroU32::new(2));
        let [busy, quiet]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        assert_eq!([limits.count_address(busy), limits.count_address(busy)], [Ok(()); 2]);
        let TooOften(wait) = limits.count_address(busy).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
        assert_eq!(limits.count_address(quiet), Ok(()));
        assert_eq!(limits.count_key(&"shop".into()), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together_and_mapped_ones_as_ipv4() {
        let [a, b, other, mapped, plain] =
            ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"]
                .map(|text| network(text.parse().unwrap()));
        assert_eq!(a, b);
        assert_ne!(a, other);
        assert_eq!(mapped, plain);
    }
}

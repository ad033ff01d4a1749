//! What of a product filters and boosts look at.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Kinds, Location, Product};

/// Mean radius of the Earth in km (IUGG), as Qdrant has it, so that every engine draws the same circle.
const EARTH_RADIUS_KM: f64 = 6_371.008_8;

/// What every index knows of a product without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// In units of the product's currency.
    pub price: Option<f64>,
    pub listed_at: Option<OffsetDateTime>,
    pub place: Option<Place>,
    pub photo: Option<PhotoTag>,
    pub kinds: Kinds,
}

/// A point on the globe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees, -90 to 90.
    pub lat: f64,
    /// Degrees, -180 to 180.
    pub lon: f64,
}

/// Tells photos apart: the CRC-32 of the thumbnail. Listings with the same photo file have the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoTag(pub u32);

impl Facts {
    pub fn of(product: &Product, photo: Option<PhotoTag>) -> Self {
        Self {
            price: product.price,
            listed_at: product.listed_at,
            place: product.location.as_ref().and_then(Location::place),
            photo,
            kinds: Kinds::of(product),
        }
    }
}

impl PhotoTag {
    pub fn of(thumbnail: &[u8]) -> Self {
        Self(crc32fast::hash(thumbnail))
    }
}

impl Place {
    /// Great-circle distance by the haversine formula.
    pub fn distance_km(self, other: Self) -> f64 {
        let [lat, other_lat] = [self.lat, other.lat].map(f64::to_radians);
        let half = |difference: f64| (difference / 2.0).sin().powi(2);
        let chord =
            half(other_lat - lat) + lat.cos() * other_lat.cos() * half((other.lon - self.lon).to_radians());
        2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
    }
}

impl Location {
    /// Where it has coordinates.
    pub fn place(&self) -> Option<Place> {
        self.lat.zip(self.lon).map(|(lat, lon)| Place { lat, lon })
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn leeds_is_273_km_from_london_and_the_poles_half_a_meridian_apart() {
        let [leeds, london] = [(53.8, -1.55), (51.507, -0.128)].map(|(lat, lon)| Place { lat, lon });
        assert!((leeds.distance_km(london) - 272.9).abs() < 1.0, "{}", leeds.distance_km(london));
        let [north, south] = [90.0, -90.0].map(|lat| Place { lat, lon: 12.0 });
        assert!((north.distance_km(south) - std::f64::consts::PI * super::EARTH_RADIUS_KM).abs() < 1e-6);
    }

    #[test]
    fn the_date_line_separates_nothing() {
        let [west, east] = [-179.9, 179.9].map(|lon| Place { lat: 0.0, lon });
        assert!(west.distance_km(east) < 23.0);
    }
}

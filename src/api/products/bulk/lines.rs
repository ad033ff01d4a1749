//! A request's body as lines, none longer than a bound.

use axum::{
    body::{Body, BodyDataStream},
    http::StatusCode,
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::api::{ApiError, body::arrival_error, body_memory::BodyShare};

/// Bytes of a line, at most: eight photos of 4 MB in base64.
pub const LONGEST: usize = 44 << 20;

/// A line that is not blank, or why there is none.
#[derive(Debug)]
pub enum Line {
    Whole(Bytes),
    /// It was read to its end and thrown away.
    TooLong,
    /// The rest will not arrive.
    Broken(ApiError),
    End,
}

pub struct Lines {
    body: BodyDataStream,
    /// The memory that the body takes. What is thrown away is given back here, what is given out by who has stored it.
    share: Option<BodyShare>,
    /// What arrived and was not given out.
    buffer: BytesMut,
    /// Bytes at the start of the buffer that are known to hold no line break.
    searched: usize,
    /// Within a line that is too long.
    skipping: bool,
    ended: bool,
}

impl Lines {
    pub fn of(body: Body, share: Option<BodyShare>) -> Self {
        let body = body.into_data_stream();
        Self { body, share, buffer: BytesMut::new(), searched: 0, skipping: false, ended: false }
    }

    pub async fn next(&mut self) -> Line {
        loop {
            if let Some(line) = self.buffered() {
                return line;
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    let reason = error.to_string();
                    return Line::Broken(arrival_error("body", StatusCode::BAD_REQUEST, &error, reason));
                }
                None if self.ended => return Line::End,
                None => {
                    // The last line need not end in a line break.
                    self.ended = true;
                    self.buffer.extend_from_slice(b"\n");
                }
            }
        }
    }

    fn buffered(&mut self) -> Option<Line> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = unsearched.iter().position(|&byte| byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.searched > LONGEST {
                    self.skipping = true;
                }
                if self.skipping {
                    self.throw_away(self.buffer.len());
                    self.buffer.clear();
                    self.searched = 0;
                }
                return None;
            };
            let line = self.buffer.split_to(self.searched + end + 1).freeze();
            self.searched = 0;
            if std::mem::take(&mut self.skipping) || line.len() > LONGEST {
                self.throw_away(line.len());
                return Some(Line::TooLong);
            }
            if !line.trim_ascii().is_empty() {
                return Some(Line::Whole(line));
            }
            self.throw_away(line.len());
        }
    }

    fn throw_away(&self, bytes: usize) {
        self.share.iter().for_each(|share| share.give_back_part(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a body that arrives in these pieces; none for one that is too long.
    async fn lines_of(pieces: Vec<Vec<u8>>) -> Vec<Option<Bytes>> {
        let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let mut lines = Lines::of(Body::from_stream(pieces), None);
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Line::Whole(line) => all.push(Some(line)),
                Line::TooLong => all.push(None),
                Line::End => return all,
                Line::Broken(error) => panic!("{error:?}"),
            }
        }
    }

    fn whole(line: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(line.as_bytes()))
    }

    #[tokio::test]
    async fn lines_are_whole_however_they_arrive() {
        let pieces = ["{\"a\"", ":1}\n\n  \n{}", "\r\nlast"].map(|piece| piece.as_bytes().to_vec());
        assert_eq!(lines_of(pieces.into()).await, [whole("{\"a\":1}\n"), whole("{}\r\n"), whole("last\n")]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        let mut pieces: Vec<Vec<u8>> = (0..45).map(|_| vec![b'x'; 1 << 20]).collect();
        pieces.push(b"x\n{}\n".to_vec());
        assert_eq!(lines_of(pieces).await, [None, whole("{}\n")]);
    }
}

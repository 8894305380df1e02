//! Parquet: a row group at a time, so that no more than that is in memory.
//!
//! Times are TIMESTAMP (ms, UTC), numbers DOUBLE, words STRING with a dictionary; pages are packed by zstd.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Cell, Table};

/// Rows of a group.
const GROUP: usize = 65_536;

/// A table on its way to a file.
pub struct Parquet<'a, W> {
    writer: Option<SerializedFileWriter<Buffer>>,
    /// What the writer has written and the file has not.
    buffer: Buffer,
    columns: Vec<Values>,
    rows: usize,
    out: &'a mut W,
}

/// A column's values of the running group.
enum Values {
    Times(Vec<i64>),
    Words(Vec<ByteArray>),
    Numbers(Vec<f64>),
    /// Those that are there, and whether each is.
    Hours(Vec<i32>, Vec<i16>),
}

impl Values {
    fn of(name: &str) -> Self {
        match name {
            "ts" => Self::Times(Vec::new()),
            "venue" | "asset" | "position" | "price_kind" | "sampled" | "interval" => Self::Words(Vec::new()),
            "hours" => Self::Hours(Vec::new(), Vec::new()),
            _ => Self::Numbers(Vec::new()),
        }
    }

    fn field(&self, name: &str) -> parquet::errors::Result<Type> {
        let (physical, logical, repetition) = match self {
            Self::Times(_) => {
                (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS)), Repetition::REQUIRED)
            }
            Self::Words(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED),
            Self::Numbers(_) => (Physical::DOUBLE, None, Repetition::REQUIRED),
            Self::Hours(..) => (Physical::INT32, None, Repetition::OPTIONAL),
        };
        Type::primitive_type_builder(name, physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build()
    }

    fn push(&mut self, cell: &Cell<'_>) -> anyhow::Result<()> {
        match (self, cell) {
            (Self::Times(times), Cell::Time(ms)) => times.push(*ms),
            (Self::Words(words), Cell::Text(text)) => words.push(ByteArray::from(*text)),
            (Self::Numbers(numbers), Cell::Number(number)) => numbers.push(*number),
            (Self::Numbers(numbers), Cell::Price(price)) => numbers.push(price.to_f64()),
            (Self::Numbers(numbers), Cell::Qty(qty)) => numbers.push(qty.to_f64()),
            (Self::Numbers(numbers), Cell::Rate(rate)) => numbers.push(rate.to_f64()),
            (Self::Hours(hours, there), Cell::Hours(told)) => {
                hours.extend(told.map(u32::cast_signed));
                there.push(i16::from(told.is_some()));
            }
            _ => anyhow::bail!("a cell does not fit its column"),
        }
        Ok(())
    }
}

impl<'a, W: Write> Parquet<'a, W> {
    /// A table with columns of these names.
    pub fn new(names: &[String], out: &'a mut W) -> anyhow::Result<Self> {
        let columns: Vec<Values> = names.iter().map(|name| Values::of(name)).collect();
        let fields = names.iter().zip(&columns).map(|(name, values)| values.field(name).map(Arc::new));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(Type::group_type_builder("meltline").with_fields(fields).build()?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("meltline ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let buffer = Buffer::default();
        let writer = SerializedFileWriter::new(buffer.clone(), schema, Arc::new(properties))?;
        Ok(Self { writer: Some(writer), buffer, columns, rows: 0, out })
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let writer = self.writer.as_mut().context("the table has ended")?;
        let mut group = writer.next_row_group()?;
        for values in &mut self.columns {
            let mut column = group.next_column()?.context("there are more columns than names")?;
            match values {
                Values::Times(times) => {
                    column.typed::<Int64Type>().write_batch(times, None, None)?;
                    times.clear();
                }
                Values::Words(words) => {
                    column.typed::<ByteArrayType>().write_batch(words, None, None)?;
                    words.clear();
                }
                Values::Numbers(numbers) => {
                    column.typed::<DoubleType>().write_batch(numbers, None, None)?;
                    numbers.clear();
                }
                Values::Hours(hours, there) => {
                    column.typed::<Int32Type>().write_batch(hours, Some(there), None)?;
                    hours.clear();
                    there.clear();
                }
            }
            column.close()?;
        }
        group.close()?;
        self.rows = 0;
        Ok(self.buffer.drain(self.out)?)
    }
}

impl<W: Write> Table for Parquet<'_, W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> anyhow::Result<()> {
        for (values, cell) in self.columns.iter_mut().zip(cells) {
            values.push(cell)?;
        }
        self.rows += 1;
        if self.rows == GROUP { self.write_group() } else { Ok(()) }
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        if let Some(writer) = self.writer.take() {
            writer.close()?;
        }
        Ok(self.buffer.drain(self.out)?)
    }
}

/// Bytes between the writer, which wants one that may move between threads, and a file, which need not be.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn drain(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&bytes)?;
        bytes.clear();
        Ok(())
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;
    use crate::market::{Qty, Rate};

    #[test]
    fn what_was_written_is_read_back_with_its_types() {
        let names: Vec<String> = ["ts", "venue", "qty", "rate", "hours"].map(str::to_owned).into();
        let mut out = Vec::new();
        let mut table = Parquet::new(&names, &mut out).unwrap();
        // More than a group.
        let count = GROUP as i64 + 3;
        for i in 0..count {
            let (qty, rate): (Qty, Rate) = ("0.5".parse().unwrap(), "-0.0001".parse().unwrap());
            let hours = (i % 2 == 0).then_some(8);
            let venue = if i % 3 == 0 { "okx" } else { "bybit" };
            let cells = [
                Cell::Time(1_718_755_200_000 + i),
                Cell::Text(venue),
                Cell::Qty(qty),
                Cell::Rate(rate),
                Cell::Hours(hours),
            ];
            table.row(&cells).unwrap();
        }
        table.end().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&out).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let meta = reader.metadata().file_metadata();
        assert_eq!((meta.num_rows(), reader.num_row_groups()), (count, 2));
        assert!(reader.metadata().row_group(0).column(1).dictionary_page_offset().is_some());
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let told = |i: usize| rows[i].get_column_iter().map(|(_, field)| field.clone()).collect::<Vec<_>>();
        let row = |ts, venue: &str, hours| {
            vec![
                Field::TimestampMillis(ts),
                Field::Str(venue.into()),
                Field::Double(0.5),
                Field::Double(-0.0001),
                hours,
            ]
        };
        assert_eq!(told(0), row(1_718_755_200_000, "okx", Field::Int(8)));
        assert_eq!(told(GROUP + 1), row(1_718_755_265_537, "bybit", Field::Null));
    }
}

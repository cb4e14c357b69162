//! Apache Parquet, column by column and batch by batch.
//!
//! Of each wanted column one batch of values is held, so memory is that of the decompressed pages
//! at hand, not of the row group.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ::parquet::basic::{Compression, ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType, Int96};
use ::parquet::errors::Result as ParquetResult;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::ColumnDescriptor;

use recant_types::{InvalidId, UnixMillis, id_of_float};

use super::columns::{Kind, Wanted, resolve};
use super::error::{ImportError, ParquetError, Rejection};
use super::parquet_file::EndedFile;
use super::reader::{FormatDescription, OpenRequest, ReadRecords};
use super::record::{Next, Record};
use super::source::{Compression as SourceCompression, open_file};

/// Apache Parquet.
pub(super) const PARQUET: FormatDescription = FormatDescription {
    name: "parquet",
    extensions: &["parquet", "pq"],
    is_content: |head| head.starts_with(b"PAR1"),
    yields_to_delimiter: false,
    open,
};

fn open(file: OpenRequest<'_>) -> Result<Box<dyn ReadRecords>, ImportError> {
    if file.source.compression != SourceCompression::Plain {
        return Err(ImportError::CompressedParquet(file.path.to_owned()));
    }
    let reader = ParquetReader::open(file.path, open_file(file.path)?, &file.wanted)?;
    Ok(Box::new(reader))
}

/// Values of a column read at once: enough to make the cost of a batch vanish.
const BATCH_ROWS: usize = 4_096;

/// Reads the wanted columns of a Parquet file, row group after row group.
pub(super) struct ParquetReader {
    path: PathBuf,
    file: SerializedFileReader<EndedFile>,
    wanted: Vec<Wanted>,
    /// The column of each wanted field.
    columns: Vec<Option<usize>>,
    next_row_group: usize,
    /// Readers of the row group at hand, as `columns`.
    readers: Vec<Option<Column>>,
    rows_left_in_group: u64,
    rows_read: u64,
    rows_total: u64,
    bytes_total: u64,
}

impl ParquetReader {
    /// Reads the schema and finds the wanted columns in it.
    pub(super) fn open(path: &Path, file: File, wanted: &[Wanted]) -> Result<Self, ImportError> {
        let failed = |source: ParquetError| ImportError::Parquet {
            path: path.to_owned(),
            source,
        };
        let bytes_total = file.metadata().map_or(0, |metadata| metadata.len());
        let file = guarded(|| SerializedFileReader::new(EndedFile(file))).map_err(failed)?;
        let schema = file.metadata().file_metadata().schema_descr();
        let names: Vec<String> = schema
            .columns()
            .iter()
            .map(|column| column.path().string())
            .collect();
        let columns = resolve(path, &names, wanted)?;
        for (wanted, column) in wanted.iter().zip(&columns) {
            if let Some(column) = column {
                check_type(path, &schema.column(*column), wanted)?;
            }
        }
        check_codecs(path, &file, &columns)?;
        let rows_total = file.metadata().file_metadata().num_rows();
        Ok(Self {
            path: path.to_owned(),
            file,
            wanted: wanted.to_vec(),
            columns,
            next_row_group: 0,
            readers: Vec::new(),
            rows_left_in_group: 0,
            rows_read: 0,
            rows_total: u64::try_from(rows_total).unwrap_or(0),
            bytes_total,
        })
    }

    fn read_row(&mut self, record: &mut Record) -> ParquetResult<Option<Result<(), Rejection>>> {
        while self.rows_left_in_group == 0 {
            if self.next_row_group == self.file.num_row_groups() {
                return Ok(None);
            }
            self.open_row_group()?;
        }
        record.clear(self.readers.len());
        let mut row = Ok(());
        // Every column goes on to the next row, whatever is wrong with this one.
        for (index, reader) in self.readers.iter_mut().enumerate() {
            if let Some(reader) = reader {
                let value = reader.read_value(record, index)?;
                let field = self.wanted[index].name;
                row = row.and(value.map_err(|reason| Rejection::InvalidId { field, reason }));
            }
        }
        self.rows_left_in_group -= 1;
        self.rows_read += 1;
        record.number = self.rows_read;
        Ok(Some(row))
    }

    fn open_row_group(&mut self) -> ParquetResult<()> {
        let group = self.file.get_row_group(self.next_row_group)?;
        let schema = self.file.metadata().file_metadata().schema_descr();
        self.readers.clear();
        for (column, wanted) in self.columns.iter().zip(&self.wanted) {
            self.readers.push(match column {
                Some(column) => {
                    let reader = group.get_column_reader(*column)?;
                    Some(Column::new(&schema.column(*column), reader, wanted.kind)?)
                }
                None => None,
            });
        }
        self.rows_left_in_group = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        self.next_row_group += 1;
        Ok(())
    }
}

impl ReadRecords for ParquetReader {
    /// Whether the schema has a column for the wanted field at `index`.
    fn has_field(&self, index: usize) -> bool {
        self.columns[index].is_some()
    }

    /// The share of the file that the rows read so far make up.
    fn bytes_read(&self) -> Option<u64> {
        let share = self.rows_read as f64 / self.rows_total.max(1) as f64;
        Some((self.bytes_total as f64 * share) as u64)
    }

    /// Reads the wanted fields of the next row.
    fn next(&mut self, record: &mut Record) -> Next {
        match guarded(|| self.read_row(record)) {
            Ok(read) => Ok(read),
            Err(source) => Err(ImportError::Parquet {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

/// Calls the library, which panics on some damaged files, and makes an error of that. The reader
/// is not used again after an error.
fn guarded<T>(read: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let reason = "a page or its place in the file makes no sense: the file is damaged";
        Err(ParquetError::General(String::from(reason)))
    })
}

/// Refuses a file whose wanted columns are compressed in a way that the library is built without.
fn check_codecs(
    path: &Path,
    file: &SerializedFileReader<EndedFile>,
    columns: &[Option<usize>],
) -> Result<(), ImportError> {
    for group in file.metadata().row_groups() {
        for column in columns.iter().flatten() {
            let codec = match group
                .columns()
                .get(*column)
                .map(|chunk| chunk.compression())
            {
                Some(Compression::BROTLI(_)) => "Brotli",
                Some(Compression::LZO) => "LZO",
                _ => continue,
            };
            let path = path.to_owned();
            return Err(ImportError::ParquetCodec { path, codec });
        }
    }
    Ok(())
}

/// Refuses a column whose values are not plain ids or numbers.
fn check_type(path: &Path, column: &ColumnDescriptor, wanted: &Wanted) -> Result<(), ImportError> {
    let usable = match (column.physical_type(), column.converted_type()) {
        _ if column.max_rep_level() > 0 => false,
        (_, ConvertedType::DECIMAL | ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => {
            false
        }
        _ if unit(column) != Unit::None => wanted.kind == Kind::Time,
        (Type::INT32 | Type::INT64 | Type::BYTE_ARRAY | Type::FLOAT | Type::DOUBLE, _) => true,
        _ => false,
    };
    if usable {
        return Ok(());
    }
    let kind = match column.max_rep_level() {
        0 => format!("of type {}", column.physical_type()),
        _ => String::from("a list"),
    };
    Err(ImportError::ColumnType {
        path: path.to_owned(),
        column: column.path().string(),
        found: kind,
        usable: match wanted.kind {
            Kind::Time => "integer, float, string, date or timestamp column",
            _ => "integer, float or string column",
        },
    })
}

/// One column of the row group at hand.
struct Column {
    values: Values,
    /// Of the batch at hand, for each row; below `level_max` the value is null.
    levels: Vec<i16>,
    level_max: i16,
    /// The next row of the batch, and the next of its values.
    next_row: usize,
    next_value: usize,
    rows: usize,
    is_unsigned: bool,
    kind: Kind,
    unit: Unit,
}

/// What the integers of a column count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// They are numbers.
    None,
    /// Days since 1970.
    Day,
    /// So many in a second since 1970.
    PerSecond(i64),
    /// A legacy Spark timestamp.
    Legacy,
}

impl Unit {
    /// A count in milliseconds since 1970.
    fn millis(self, count: i64) -> Option<i64> {
        match self {
            Self::None | Self::Legacy => None,
            Self::Day => count.checked_mul(24 * 60 * 60 * 1_000),
            Self::PerSecond(parts) => Some(count.div_euclid(parts / 1_000)),
        }
    }
}

fn unit(column: &ColumnDescriptor) -> Unit {
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Date), _) | (_, ConvertedType::DATE) => Unit::Day,
        (Some(LogicalType::Timestamp(timestamp)), _) => Unit::PerSecond(match timestamp.unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        }),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Unit::PerSecond(1_000),
        (_, ConvertedType::TIMESTAMP_MICROS) => Unit::PerSecond(1_000_000),
        _ if column.physical_type() == Type::INT96 => Unit::Legacy,
        _ => Unit::None,
    }
}

/// 2²⁴: below it every integer is exact in an f32.
const EXACT_INTEGER_LIMIT_F32: f32 = 16_777_216.0;

/// A reader and the values of its batch, by physical type.
enum Values {
    Int32(Batch<::parquet::data_type::Int32Type>),
    Int64(Batch<::parquet::data_type::Int64Type>),
    Int96(Batch<::parquet::data_type::Int96Type>),
    Float(Batch<::parquet::data_type::FloatType>),
    Double(Batch<::parquet::data_type::DoubleType>),
    Bytes(Batch<::parquet::data_type::ByteArrayType>),
}

struct Batch<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

impl<T: DataType> Batch<T> {
    fn new(reader: ColumnReaderImpl<T>) -> Self {
        Self {
            reader,
            values: Vec::new(),
        }
    }

    /// Reads the next batch and returns its number of rows.
    fn fill(&mut self, levels: &mut Vec<i16>) -> ParquetResult<usize> {
        self.values.clear();
        levels.clear();
        let (rows, _, _) =
            self.reader
                .read_records(BATCH_ROWS, Some(levels), None, &mut self.values)?;
        Ok(rows)
    }
}

impl Column {
    fn new(descriptor: &ColumnDescriptor, reader: ColumnReader, kind: Kind) -> ParquetResult<Self> {
        let values = match reader {
            ColumnReader::Int32ColumnReader(reader) => Values::Int32(Batch::new(reader)),
            ColumnReader::Int64ColumnReader(reader) => Values::Int64(Batch::new(reader)),
            ColumnReader::Int96ColumnReader(reader) => Values::Int96(Batch::new(reader)),
            ColumnReader::FloatColumnReader(reader) => Values::Float(Batch::new(reader)),
            ColumnReader::DoubleColumnReader(reader) => Values::Double(Batch::new(reader)),
            ColumnReader::ByteArrayColumnReader(reader) => Values::Bytes(Batch::new(reader)),
            ColumnReader::BoolColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                return Err(ParquetError::General(String::from("unusable column type")));
            }
        };
        Ok(Self {
            values,
            levels: Vec::new(),
            level_max: descriptor.max_def_level(),
            next_row: 0,
            next_value: 0,
            rows: 0,
            is_unsigned: is_unsigned(descriptor),
            kind,
            unit: unit(descriptor),
        })
    }

    /// Writes the value of the next row into the record; the inner error says that it is no id. A
    /// null is no value, but as an id or a weight an empty one.
    fn read_value(
        &mut self,
        record: &mut Record,
        index: usize,
    ) -> ParquetResult<Result<(), InvalidId>> {
        if self.next_row == self.rows {
            self.fill()?;
        }
        let row = self.next_row;
        self.next_row += 1;
        if self.level_max > 0 && self.levels[row] < self.level_max {
            if matches!(self.kind, Kind::Id | Kind::Weight) {
                record.set(index, b"");
            }
            return Ok(Ok(()));
        }
        let value = self.next_value;
        self.next_value += 1;
        Ok(self.write(record, index, value))
    }

    fn write(&self, record: &mut Record, index: usize, value: usize) -> Result<(), InvalidId> {
        match &self.values {
            Values::Int32(batch) if self.is_unsigned => {
                record.set_display(index, batch.values[value].cast_unsigned());
            }
            Values::Int64(batch) if self.is_unsigned => {
                record.set_display(index, batch.values[value].cast_unsigned());
            }
            Values::Int32(batch) => self.write_count(record, index, batch.values[value].into()),
            Values::Int64(batch) => self.write_count(record, index, batch.values[value]),
            Values::Int96(batch) => record.moment = Some(Int96::to_millis(&batch.values[value])),
            Values::Float(batch) => {
                let number = batch.values[value];
                if self.kind == Kind::Id && number.abs() >= EXACT_INTEGER_LIMIT_F32 {
                    return Err(InvalidId::NotWhole);
                }
                return self.write_float(record, index, number.into());
            }
            Values::Double(batch) => {
                return self.write_float(record, index, batch.values[value]);
            }
            Values::Bytes(batch) => record.set(index, ByteArray::data(&batch.values[value])),
        }
        Ok(())
    }

    /// Writes an integer. As a time it keeps its unit where its size tells it.
    fn write_count(&self, record: &mut Record, index: usize, count: i64) {
        let millis = self.unit.millis(count);
        let is_told =
            |millis| self.unit != Unit::Day && UnixMillis::from_timestamp(count).0 == millis;
        match millis {
            Some(millis) if !is_told(millis) => record.moment = Some(millis),
            _ => record.set_display(index, count),
        }
    }

    fn write_float(&self, record: &mut Record, index: usize, number: f64) -> Result<(), InvalidId> {
        if self.kind == Kind::Id {
            record.set_display(index, id_of_float(number)?);
        } else {
            record.set_display(index, number);
        }
        Ok(())
    }

    fn fill(&mut self) -> ParquetResult<()> {
        let levels = &mut self.levels;
        self.rows = match &mut self.values {
            Values::Int32(batch) => batch.fill(levels)?,
            Values::Int64(batch) => batch.fill(levels)?,
            Values::Int96(batch) => batch.fill(levels)?,
            Values::Float(batch) => batch.fill(levels)?,
            Values::Double(batch) => batch.fill(levels)?,
            Values::Bytes(batch) => batch.fill(levels)?,
        };
        (self.next_row, self.next_value) = (0, 0);
        match self.rows {
            0 => Err(ParquetError::EOF(String::from(
                "a column has fewer values than its row group has rows",
            ))),
            _ => Ok(()),
        }
    }
}

fn is_unsigned(descriptor: &ColumnDescriptor) -> bool {
    let logical = matches!(
        descriptor.logical_type_ref(),
        Some(LogicalType::Integer(integer)) if !integer.is_signed
    );
    let converted = matches!(
        descriptor.converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    );
    logical || converted
}

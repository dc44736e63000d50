//! Plain text tables.

/// The rows with their cells padded to columns; the last `numbers` columns are right-aligned.
pub fn table(rows: &[Vec<String>], numbers: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, &width))| {
                if column + numbers < columns {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn names_align_left_and_numbers_right() {
        let rows =
            [["tier", "passed"], ["contract", "7"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows, 1), "tier      passed\ncontract       7\n");
    }
}

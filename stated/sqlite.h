// SPDX-License-Identifier: AGPL-3.0-only
// Connection and Statement: SQLite behind absl::Status. A Connection owns one database handle and
// its cache of prepared statements; it is used by one thread at a time (Database sees to that). SQL
// is only ever a literal: SqlText can be made at compile time alone, so no text from outside can
// become SQL (promise P10).
#ifndef AUSPEX_STATED_SQLITE_H_
#define AUSPEX_STATED_SQLITE_H_

#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace auspex::stated {

// A literal of SQL.
class SqlText {
 public:
  consteval SqlText(const char* literal) : text_(literal) {}  // NOLINT: implicit on purpose
  const char* text() const { return text_; }

 private:
  const char* text_;
};

// Octets to be bound as a BLOB. They must live until the Statement is gone (they are not copied).
struct Blob {
  std::string_view octets;
};

class Connection {
 public:
  enum class Mode { kReadWrite, kReadOnly };
  // Opens `path`, which must exist, and sets what every connection needs (WAL is set by a
  // kReadWrite one).
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one or more statements that bring no rows.
  absl::Status Exec(SqlText sql);
  // Rows changed by the last INSERT, UPDATE or DELETE.
  int64_t RowsChanged() const;
  int64_t LastInsertRowId() const;
  // True between BEGIN and its end; false also after SQLite rolled back by itself.
  bool InTransaction() const;
  // The present error of this handle with the absl code that fits: RESOURCE_EXHAUSTED for a full
  // disk, DATA_LOSS for a damaged file, FAILED_PRECONDITION for one that cannot be opened,
  // UNAVAILABLE for a locked one and for one that could be opened and now cannot be written, else
  // INTERNAL.
  absl::Status Error(int code, std::string_view doing) const;

 private:
  friend class Statement;
  struct Cached {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  Connection() = default;
  absl::Status Configure(Mode mode);

  sqlite3* db_ = nullptr;
  bool is_open_ = false;
  std::map<const char*, Cached> cache_;  // by the literal's address
};

// One run of a prepared statement. Errors of preparing and binding come out of the first Step.
//
//   Statement unit(db, "SELECT id FROM units WHERE assignment_id = ?", assignment.str());
//   ASSIGN_OR_RETURN(const bool found, unit.Step());
class Statement {
 public:
  template <typename... Args>
  Statement(Connection& connection, SqlText sql, const Args&... args)
      : connection_(connection), sql_(sql) {
    Prepare();
    (Bind(args), ...);
  }
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Goes to the next row. True: there is one.
  absl::StatusOr<bool> Step();
  // Runs to the end, whatever rows come.
  absl::Status Run();

  // Columns of the present row, from 0.
  bool IsNull(int column) const;
  int64_t Int(int column) const;
  // TEXT or BLOB; empty for NULL.
  std::string Text(int column) const;

 private:
  void Prepare();
  void Bind(std::integral auto value) { BindInt(static_cast<int64_t>(value)); }
  void Bind(std::string_view value) { BindText(value); }
  void Bind(const std::string& value) { BindText(value); }
  void Bind(const char* value) { BindText(value); }
  void Bind(Blob value) { BindBlob(value.octets); }
  void Bind(std::nullopt_t) { ++bound_; }
  template <typename T>
  void Bind(const std::optional<T>& value) {
    if (value.has_value()) {
      Bind(*value);
    } else {
      ++bound_;
    }
  }
  void BindInt(int64_t value);
  void BindText(std::string_view value);
  void BindBlob(std::string_view value);
  void Note(int code);

  Connection& connection_;
  const SqlText sql_;
  sqlite3_stmt* statement_ = nullptr;
  bool cached_ = false;
  int bound_ = 0;
  absl::Status status_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SQLITE_H_

// SPDX-License-Identifier: AGPL-3.0-only
#include "common/archive/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex {
namespace {

constexpr size_t kMaxArchive = 1u << 30;  // what fits zlib's counters

using Reader = std::unique_ptr<archive, decltype(&archive_read_free)>;
using Writer = std::unique_ptr<archive, decltype(&archive_write_free)>;

absl::Status Unsafe(std::string_view path, std::string_view why) {
  return absl::PermissionDeniedError(Cat("package: member '", Printable(path, 200), "' ", why));
}

absl::Status NotAnArchive(archive* reader) {
  const char* why = archive_error_string(reader);
  return absl::InvalidArgumentError(Cat("package: not a whole gzip tar: ",
                                        Printable(why != nullptr ? why : "unknown error", 200)));
}

// Reads the member's content into `out`, which never grows over what the limits leave.
absl::Status ReadContent(archive* reader, std::string_view path, const ArchiveLimits& limits,
                         uint64_t& total, std::string& out) {
  char buffer[64 * 1024];
  for (;;) {
    const la_ssize_t n = archive_read_data(reader, buffer, sizeof buffer);
    if (n == 0) return absl::OkStatus();
    if (n < 0) return NotAnArchive(reader);
    total += static_cast<uint64_t>(n);
    if (total > limits.max_unpacked_octets) {
      return absl::ResourceExhaustedError(
          Cat("package: unpacks to more than ", limits.max_unpacked_octets, " octets"));
    }
    if (out.size() + static_cast<uint64_t>(n) > limits.max_member_octets) {
      return absl::ResourceExhaustedError(Cat("package: member '", Printable(path, 200),
                                              "' is larger than ", limits.max_member_octets,
                                              " octets"));
    }
    out.append(buffer, static_cast<size_t>(n));
  }
}

// libarchive neither checks the gzip trailer (RFC 1952 section 2.3.1) nor reads past the end of the
// tar inside, so a cut-off download could pass. This pass inflates everything, keeps nothing, and
// wants exactly one whole gzip member.
absl::Status CheckWholeGzip(std::string_view octets, const ArchiveLimits& limits) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK)
    return absl::InternalError("package: zlib: out of memory");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, &inflateEnd);
  // Headers and padding come on top of the contents.
  const uint64_t most = limits.max_unpacked_octets + 2048ull * limits.max_members + (1u << 20);
  std::vector<unsigned char> scratch(256 * 1024);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
  stream.avail_in = static_cast<uInt>(octets.size());
  uint64_t total = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    stream.next_out = scratch.data();
    stream.avail_out = static_cast<uInt>(scratch.size());
    code = inflate(&stream, Z_NO_FLUSH);
    total += scratch.size() - stream.avail_out;
    if (total > most) {
      return absl::ResourceExhaustedError(
          Cat("package: unpacks to more than ", limits.max_unpacked_octets, " octets"));
    }
  }
  if (code != Z_STREAM_END) {
    return absl::InvalidArgumentError("package: not a whole gzip tar: damaged or cut off");
  }
  if (stream.avail_in != 0) {
    return absl::InvalidArgumentError("package: not a whole gzip tar: text after the end");
  }
  return absl::OkStatus();
}

la_ssize_t AppendOctets(archive*, void* client, const void* data, size_t size) {
  static_cast<std::string*>(client)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

}  // namespace

absl::Status CheckMemberPath(std::string_view untrusted_path, const ArchiveLimits& limits) {
  if (untrusted_path.empty()) return Unsafe(untrusted_path, "has no name");
  if (untrusted_path.size() > limits.max_path_octets)
    return Unsafe(untrusted_path, "has too long a name");
  if (untrusted_path.front() == '/') return Unsafe(untrusted_path, "has an absolute path");
  for (const char c : untrusted_path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') {
      return Unsafe(untrusted_path, "has a control character or backslash in its path");
    }
  }
  size_t depth = 0;
  for (std::string_view rest = untrusted_path; !rest.empty();) {
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part == "..") return Unsafe(untrusted_path, "leaves the package");
    if (part.empty() || part == ".") return Unsafe(untrusted_path, "has an empty or '.' component");
    if (++depth > limits.max_depth) return Unsafe(untrusted_path, "is nested too deeply");
  }
  if (untrusted_path.back() == '/') return Unsafe(untrusted_path, "names a directory");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ArchiveMember>> ReadTarGz(std::string_view untrusted_archive,
                                                     const ArchiveLimits& limits) {
  if (untrusted_archive.size() > kMaxArchive) {
    return absl::ResourceExhaustedError(
        Cat("package: the archive is larger than ", kMaxArchive, " octets"));
  }
  RETURN_IF_ERROR(CheckWholeGzip(untrusted_archive, limits));
  Reader reader(archive_read_new(), &archive_read_free);
  if (!reader) return absl::InternalError("package: libarchive: out of memory");
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_memory(reader.get(), untrusted_archive.data(), untrusted_archive.size()) !=
      ARCHIVE_OK) {
    return NotAnArchive(reader.get());
  }
  std::vector<ArchiveMember> out;
  uint64_t total = 0;
  size_t members = 0;
  for (;;) {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(reader.get(), &entry);
    if (code == ARCHIVE_EOF) break;
    if (code != ARCHIVE_OK) return NotAnArchive(reader.get());
    if (++members > limits.max_members) {
      return absl::ResourceExhaustedError(
          Cat("package: more than ", limits.max_members, " members"));
    }
    const char* name = archive_entry_pathname(entry);
    std::string path = name != nullptr ? name : "";
    if (archive_entry_hardlink(entry) != nullptr || archive_entry_symlink(entry) != nullptr) {
      return Unsafe(path, "is a link");
    }
    const auto type = archive_entry_filetype(entry);
    if (type != AE_IFREG && type != AE_IFDIR) return Unsafe(path, "is neither file nor directory");
    // `tar -C dir .` writes "./" before every name and "./" itself.
    while (path.starts_with("./")) path.erase(0, 2);
    if (type == AE_IFDIR) {
      while (!path.empty() && path.back() == '/') path.pop_back();
      if (path.empty() || path == ".") continue;
    }
    RETURN_IF_ERROR(CheckMemberPath(path, limits));
    if (type == AE_IFDIR) continue;
    ArchiveMember member{.path = std::move(path),
                         .executable = (archive_entry_perm(entry) & 0100) != 0};
    RETURN_IF_ERROR(ReadContent(reader.get(), member.path, limits, total, member.content));
    out.push_back(std::move(member));
  }
  return out;
}

absl::StatusOr<std::string> WriteTarGz(const std::vector<ArchiveMember>& members) {
  std::string out;
  Writer writer(archive_write_new(), &archive_write_free);
  if (!writer) return absl::InternalError("package: libarchive: out of memory");
  const auto failed = [&] {
    const char* why = archive_error_string(writer.get());
    return absl::InternalError(
        Cat("package: cannot be written: ", why != nullptr ? why : "unknown error"));
  };
  if (archive_write_set_format_pax_restricted(writer.get()) != ARCHIVE_OK ||
      archive_write_add_filter_gzip(writer.get()) != ARCHIVE_OK ||
      archive_write_set_options(writer.get(), "gzip:!timestamp") != ARCHIVE_OK ||
      // Without this libarchive pads the compressed octets to a tape block.
      archive_write_set_bytes_in_last_block(writer.get(), 1) != ARCHIVE_OK ||
      archive_write_open(writer.get(), &out, nullptr, &AppendOctets, nullptr) != ARCHIVE_OK) {
    return failed();
  }
  for (const ArchiveMember& member : members) {
    std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                        &archive_entry_free);
    archive_entry_set_pathname(entry.get(), member.path.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.content.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), member.executable ? 0755 : 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK) return failed();
    if (archive_write_data(writer.get(), member.content.data(), member.content.size()) !=
        static_cast<la_ssize_t>(member.content.size())) {
      return failed();
    }
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK) return failed();
  return out;
}

}  // namespace auspex

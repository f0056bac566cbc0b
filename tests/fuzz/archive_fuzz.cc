// SPDX-License-Identifier: AGPL-3.0-only
// Properties of taking a package archive apart: it ends in one of four ways with a printable reason,
// nothing is written outside of the folder, limits hold, and what was accepted is a tree that the
// package digest covers. The first octet says whether the rest is a gzip stream or a tar archive to
// be put into one (a fuzzer cannot make the check sum of a stream that it changed), or what a
// taken-over auspex-unpack says to runnerd.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <string>

#include "common/base/unique_fd.h"
#include "runnerd/package_tree.h"
#include "runnerd/unpack/folder_writer.h"
#include "runnerd/unpack/stream.h"
#include "runnerd/unpack/unpack.h"
#include "tests/fuzz/folder.h"

namespace {

using auspex::UniqueFd;
using auspex::runnerd::FolderWriter;
using auspex::runnerd::StreamSink;
using auspex::runnerd::UnpackLimits;
using auspex::runnerd::UnpackResult;
using auspex::runnerd::UnpackStream;

std::string Gzip(std::string_view octets) {
  z_stream stream{};
  FUZZ_CHECK(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, octets.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
  stream.avail_in = static_cast<uInt>(octets.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  FUZZ_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > (1 << 18)) return 0;
  static const auspex::fuzz::Folder folder;
  const std::string_view rest = auspex::fuzz::Text(data + 1, size - 1);
  const bool taken_over = (data[0] & 2) != 0;
  const std::string archive = data[0] % 2 == 0 ? std::string(rest) : Gzip(rest);
  const UniqueFd file(memfd_create("archive", MFD_CLOEXEC));
  FUZZ_CHECK(write(file.get(), archive.data(), archive.size()) ==
             static_cast<ssize_t>(archive.size()));
  FUZZ_CHECK(lseek(file.get(), 0, SEEK_SET) == 0);
  const std::string target = folder.Fresh();
  const UniqueFd root(open(target.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  UnpackLimits limits;
  limits.unpacked_octets = 1 << 20;
  limits.members = 64;
  FolderWriter writer(root.get(), limits);
  UnpackStream stream(writer, limits);
  if (taken_over) {
    stream.Take(rest);
  } else {
    const UniqueFd spool(memfd_create("stream", MFD_CLOEXEC));
    StreamSink sink(spool.get());
    const UnpackResult said = auspex::runnerd::Unpack(file.get(), sink, limits);
    FUZZ_CHECK(said.members <= limits.members + 1);
    FUZZ_CHECK(sink.Finish(said));
    std::string octets(static_cast<size_t>(lseek(spool.get(), 0, SEEK_CUR)), '\0');
    FUZZ_CHECK(pread(spool.get(), octets.data(), octets.size(), 0) ==
               static_cast<ssize_t>(octets.size()));
    stream.Take(octets);
  }
  const UnpackResult result = stream.result();
  // Without an end there is no reason either; an unpacker that was taken over may say any.
  if (!taken_over) FUZZ_CHECK((result.outcome == UnpackResult::Outcome::kOk) == result.why.empty());
  for (char c : result.why) FUZZ_CHECK(c >= 0x20 && c < 0x7f);
  FUZZ_CHECK(writer.result().members <= limits.members + 1);
  FUZZ_CHECK(writer.result().octets <= limits.unpacked_octets);
  int beside = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
    ++beside;
  FUZZ_CHECK(beside == 1);
  if (result.outcome != UnpackResult::Outcome::kOk) return 0;
  const auto tree = auspex::runnerd::ListPackage(root.get(), limits);
  FUZZ_CHECK(tree.ok());
  uint64_t octets = 0;
  for (const auto& member : tree->files) octets += static_cast<uint64_t>(member.info.st_size);
  FUZZ_CHECK(octets <= limits.unpacked_octets);
  FUZZ_CHECK(auspex::runnerd::DigestPackage(root.get(), *tree).ok());
  return 0;
}

// SPDX-License-Identifier: AGPL-3.0-only
// Properties of the package digest: computed from a tree on the disk it is that of the rule (wire
// protocol 4.5) written down a second time and plainly; a name is taken by the tree exactly when
// CheckMemberPath takes it. Input: lines "path NUL content".
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/crypto/sha256.h"
#include "runnerd/package_tree.h"
#include "tests/fuzz/folder.h"

namespace {

std::vector<std::string> Components(const std::string& path) {
  std::vector<std::string> parts(1);
  for (char c : path) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string PlainDigest(const std::map<std::string, std::string>& files) {
  std::vector<std::pair<std::vector<std::string>, std::string>> lines;
  for (const auto& [path, content] : files) {
    if (path == "manifest.json" || path == "manifest.json.sig") continue;
    lines.emplace_back(Components(path),
                       path + std::string(1, '\0') + auspex::Sha256HexOf(content));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& [parts, line] : lines) text += (text.empty() ? "" : "\n") + line;
  return auspex::Sha256HexOf(text);
}

// False when it cannot be made, as when a file is in a folder's place.
bool Make(const std::string& root, const std::string& path, const std::string& content) {
  for (size_t at = 0; (at = path.find('/', at)) != std::string::npos; ++at)
    mkdir((root + "/" + path.substr(0, at)).c_str(), 0755);
  const auspex::UniqueFd file(open((root + "/" + path).c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  return file &&
         write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 8192) return 0;
  static const auspex::fuzz::Folder folder;
  const auspex::runnerd::UnpackLimits limits;
  const std::string root = folder.Fresh();
  std::map<std::string, std::string> files;
  std::string_view text = auspex::fuzz::Text(data, size);
  while (!text.empty() && files.size() < 32) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const size_t nul = line.find('\0');
    const std::string path(line.substr(0, nul)),
        content(nul == std::string_view::npos ? "" : line.substr(nul + 1));
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    if (path.starts_with("./") || path.find("/./") != std::string::npos || path.ends_with("/.") ||
        path == ".") {
      continue;  // another spelling of a path
    }
    if (!auspex::runnerd::CheckMemberPath(path, limits).empty()) continue;
    if (!Make(root, path, content)) return 0;  // a folder without a file may be left
    files[path] = content;
  }
  const auspex::UniqueFd package(open(root.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC));
  const auto tree = auspex::runnerd::ListPackage(package.get(), limits);
  FUZZ_CHECK(tree.ok());
  FUZZ_CHECK(tree->files.size() == files.size());
  const auto digest = auspex::runnerd::DigestPackage(package.get(), *tree);
  FUZZ_CHECK(digest.ok() && digest->str() == PlainDigest(files));
  FUZZ_CHECK(auspex::runnerd::ListPackage(package.get(), limits)->fingerprint == tree->fingerprint);
  return 0;
}

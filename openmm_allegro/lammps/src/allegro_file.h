// SPDX-License-Identifier: GPL-2.0-or-later
// Files of models, *.allegro, which openmm_allegro.lammps.export writes: a line that names
// the format, the length of a JSON header, the header, and three arrays, each from a page on.
#ifndef ALLEGRO_FILE_H
#define ALLEGRO_FILE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "allegro_json.h"
#include "allegro_sha256.h"

namespace openmm_allegro {

constexpr int64_t FORMAT_VERSION = 1;
constexpr int64_t CHARGED_VERSION = 2;  // of files of models with charges
constexpr size_t PAGE = 4096;
constexpr const char *COMMAND =
    "openmm-allegro lammps MODEL.safetensors SYSTEM.pdb --output FOLDER writes one";
constexpr const char *AGAIN = "it was cut or damaged: copy or export it again";

// Where an array begins in the file, in bytes, and how many numbers it has.
struct Place {
  int64_t offset, count;
};

// What makes charges of those that the program gives, and their width.
struct Charges {
  std::string kind = "none";  // or constant, one of each element, or learned
  std::vector<double> start;  // of each element, e
  double alpha = 0.0;         // of Gaussians exp(-2 alpha^2 r^2), 1/Å
  double coulomb = 0.0;       // constant of Coulomb's law, eV Å/e^2

  bool are_learned() const { return kind == "learned"; }
};

// Contents of the header.
struct Description {
  std::string kind, precision, two_body, digest, version, checksum;
  std::vector<std::string> elements;
  std::vector<double> masses;  // Da
  Charges charges;
  Place integers, constants, weights;

  bool is_double() const { return precision == "double"; }
  bool is_delta() const { return kind == "delta"; }
  bool is_charged() const { return charges.kind != "none"; }
  bool has_table() const { return two_body == "table"; }
  size_t weight_bytes() const {
    return static_cast<size_t>(weights.count) * (is_double() ? sizeof(double) : sizeof(float));
  }
};

// A file in memory, read where it is used and shared with other processes.
class Mapping {
 public:
  explicit Mapping(const std::string &path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (file < 0 || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
      const std::string reason = file < 0 ? std::strerror(errno) : "not a file";
      if (file >= 0) close(file);
      throw std::runtime_error("expected a model file " + path +
                               ", found none that can be read (" + reason + "); " + COMMAND);
    }
    bytes = static_cast<size_t>(about.st_size);
    void *at = bytes ? mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0) : nullptr;
    const std::string reason = std::strerror(errno);
    close(file);
    if (at == MAP_FAILED)
      throw std::runtime_error("expected that " + path + " can be mapped, found: " + reason);
    start = static_cast<const unsigned char *>(at);
  }
  Mapping(const Mapping &) = delete;
  Mapping &operator=(const Mapping &) = delete;
  ~Mapping() {
    if (start) munmap(const_cast<unsigned char *>(start), bytes);
  }

  const unsigned char *data() const { return start; }
  size_t size() const { return bytes; }

 private:
  const unsigned char *start = nullptr;
  size_t bytes = 0;
};

// The header of a file, as text.
inline std::string header_text(const Mapping &file, const std::string &path) {
  constexpr size_t BEFORE = 16;
  const char *magic = "ALLEGRO\n";
  if (file.size() > 8 && file.data()[8] == '{' && std::memcmp(file.data(), magic, 8) != 0)
    throw std::runtime_error("expected an exported model (*.allegro), found that " + path +
                             " is a model file (*.safetensors); " + COMMAND);
  if (file.size() < BEFORE || std::memcmp(file.data(), magic, 8) != 0)
    throw std::runtime_error("expected an exported model (*.allegro), found that " + path +
                             " is another kind of file; " + COMMAND);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | file.data()[8 + i];
  if (length > file.size() - BEFORE)
    throw std::runtime_error("expected a header of " + std::to_string(length) +
                             " bytes, found the end of " + path + " before; " + AGAIN);
  return std::string(reinterpret_cast<const char *>(file.data()) + BEFORE,
                     static_cast<size_t>(length));
}

inline Place place(const Json &arrays, const std::string &name) {
  const Json &array = arrays[name];
  const Place found = {array["offset"].integer(), array["count"].integer()};
  constexpr int64_t MOST = int64_t(1) << 48;
  if (found.offset < 0 || found.offset % int64_t(PAGE) || found.offset > MOST ||
      found.count < 0 || found.count > MOST)
    throw std::runtime_error("expected " + name + " from a page of the file on, found byte " +
                             std::to_string(found.offset));
  return found;
}

inline void one_of(const char *key, const std::string &value, const char *first,
                   const char *second) {
  if (value != first && value != second)
    throw std::runtime_error(std::string("expected ") + key + " " + first + " or " + second +
                             ", found " + value);
}

inline Charges read_charges(const Json &header, size_t elements) {
  Charges charges;
  charges.kind = header["charges"].string();
  one_of("charges", charges.kind, "constant", "learned");
  for (const Json &charge : header["charge_start"].array())
    charges.start.push_back(charge.number());
  charges.alpha = header["charge_alpha"].number();
  charges.coulomb = header["coulomb"].number();
  if (charges.start.size() != elements)
    throw std::runtime_error("expected a charge for each element, found " +
                             std::to_string(elements) + " elements and " +
                             std::to_string(charges.start.size()) + " charges");
  if (!(charges.alpha > 0.0))
    throw std::runtime_error("expected a charge_alpha above 0, found " +
                             std::to_string(charges.alpha));
  return charges;
}

// Read a header; the same on all ranks.
inline Description describe(const std::string &text) {
  Json header;
  try {
    header = JsonReader::read(text);
  } catch (const std::runtime_error &error) {
    throw std::runtime_error(error.what() + std::string("; ") + AGAIN);
  }
  if (header["format"].string() != "openmm_allegro.lammps")
    throw std::runtime_error("expected the format openmm_allegro.lammps, found " +
                             header["format"].string());
  const int64_t version = header["format_version"].integer();
  if (version != FORMAT_VERSION && version != CHARGED_VERSION)
    throw std::runtime_error(
        "expected format " + std::to_string(FORMAT_VERSION) + " or " +
        std::to_string(CHARGED_VERSION) + ", found " + std::to_string(version) +
        ", written by openmm-allegro " + header["package_version"].string() + "; " +
        (version > CHARGED_VERSION ? "install that version where LAMMPS runs"
                                   : "export the model again"));
  Description about;
  about.kind = header["kind"].string();
  about.precision = header["precision"].string();
  about.two_body = header["two_body"].string();
  about.digest = header["digest"].string();
  about.version = header["package_version"].string();
  about.checksum = header["sha256"].string();
  for (const Json &element : header["elements"].array())
    about.elements.push_back(element.string());
  for (const Json &mass : header["masses"].array()) about.masses.push_back(mass.number());
  const Json &arrays = header["arrays"];
  about.integers = place(arrays, "integers");
  about.constants = place(arrays, "constants");
  about.weights = place(arrays, "weights");
  one_of("kind", about.kind, "total", "delta");
  one_of("precision", about.precision, "single", "double");
  one_of("two_body", about.two_body, "exact", "table");
  if (about.elements.empty() || about.elements.size() != about.masses.size())
    throw std::runtime_error("expected a mass for each element, found " +
                             std::to_string(about.elements.size()) + " elements and " +
                             std::to_string(about.masses.size()) + " masses");
  if (version == CHARGED_VERSION)
    about.charges = read_charges(header, about.elements.size());
  return about;
}

// Refuse a file of another size or with other bytes than its header says.
inline void check_contents(const Mapping &file, const std::string &text,
                           const Description &about) {
  const size_t end = static_cast<size_t>(about.weights.offset) + about.weight_bytes();
  const size_t size = (end + PAGE - 1) / PAGE * PAGE;
  const auto within = [&](const Place &place) {
    return static_cast<size_t>(place.offset + 8 * place.count) <= end;
  };
  if (file.size() != size || !within(about.integers) || !within(about.constants))
    throw std::runtime_error("expected " + std::to_string(size) + " bytes, found " +
                             std::to_string(file.size()) + "; " + AGAIN);
  const size_t digits = 16 + text.size() - about.checksum.size() - 2;
  if (about.checksum.size() != 64 ||
      text.compare(digits - 16, std::string::npos, about.checksum + "\"}") != 0)
    throw std::runtime_error(
        std::string("expected a checksum at the end of the header, found none; ") + AGAIN);
  Sha256 sha;
  const std::string blank(about.checksum.size(), '0');
  sha.add(file.data(), digits);
  sha.add(reinterpret_cast<const unsigned char *>(blank.data()), blank.size());
  sha.add(file.data() + digits + blank.size(), file.size() - digits - blank.size());
  if (sha.digits() != about.checksum)
    throw std::runtime_error("expected the SHA-256 " + about.checksum + ", found another; " +
                             AGAIN);
}

}  // namespace openmm_allegro

#endif

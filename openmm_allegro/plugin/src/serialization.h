// SPDX-License-Identifier: MIT
// An AllegroForce as XML, which Python writes too (plugin/force.py).
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "allegro_force.h"
#include "allegro_plugin.h"
#include "base64.h"
#include "openmm/serialization/SerializationNode.h"
#include "openmm/serialization/SerializationProxy.h"

namespace Allegro {

// SerializationNode::getStringProperty returns a reference before OpenMM 8.6 and a string
// from then on, under the same symbol. What was compiled for the one crashes with the
// other; so the function is looked up, and called as the OpenMM at hand has it.
inline std::string string_property(const OpenMM::SerializationNode &node,
                                   const std::string &name) {
  constexpr char SYMBOL[] =
      "_ZNK6OpenMM17SerializationNode17getStringPropertyERKNSt7__cxx1112basic_string"
      "IcSt11char_traitsIcESaIcEEE";
  static void *const function = [&] {
    void *found = dlsym(RTLD_DEFAULT, SYMBOL);
    if (found) return found;
    // Python loads its libraries without making their symbols global.
    void *library = dlopen("libOpenMM.so", RTLD_NOW | RTLD_NOLOAD);
    return library ? dlsym(library, SYMBOL) : nullptr;
  }();
  if (!function)
    throw OpenMM::OpenMMException(
        "AllegroForce: expected OpenMM 8.4 to 8.6, found one whose XML cannot be read");
  const std::string version = OpenMM::Platform::getOpenMMVersion();
  const int major = std::atoi(version.c_str());
  const int minor = std::atoi(version.c_str() + version.find('.') + 1);
  using Node = const OpenMM::SerializationNode &;
  using Name = const std::string &;
  if (major > 8 || (major == 8 && minor >= 6))
    return reinterpret_cast<std::string (*)(Node, Name)>(function)(node, name);
  return reinterpret_cast<const std::string &(*)(Node, Name)>(function)(node, name);
}

class AllegroForceProxy : public OpenMM::SerializationProxy {
 public:
  AllegroForceProxy() : SerializationProxy("AllegroForce") {}

  void serialize(const void *object, OpenMM::SerializationNode &node) const override {
    const auto &force = *static_cast<const AllegroForce *>(object);
    const Models &models = *force.models;
    const bool is_charged = models.is_charged();
    node.setIntProperty("version", models.is_embedded ? ALLEGRO_EMBEDDED_VERSION
                                   : is_charged       ? ALLEGRO_CHARGED_VERSION
                                                      : ALLEGRO_PLUGIN_VERSION);
    node.setIntProperty("forceGroup", force.getForceGroup());
    node.setStringProperty("name", force.getName());
    node.setStringProperty("about", models.about);
    node.setBoolProperty("periodic", models.is_periodic);
    node.setDoubleProperty("cutoff", models.cutoff);
    node.setDoubleProperty("skin", models.skin);
    node.setStringProperty("particles", text(models.particles));
    node.setStringProperty("caps", text(models.caps));
    if (is_charged) {
      node.setDoubleProperty("totalCharge", models.total_charge);
      node.setIntProperty("images", int(models.images));
    }
    if (models.is_embedded) {
      node.setStringProperty("points", text(models.points));
      node.setDoubleProperty("reach", models.reach);
    }
    node.setIntProperty("models", int(models.members.size()));
    for (size_t m = 0; m < models.members.size(); ++m) {
      const Model &member = models.members[m];
      OpenMM::SerializationNode &child = node.createChildNode("Model" + std::to_string(m));
      child.setBoolProperty("double", member.is_double);
      child.setStringProperty("integers", text(member.integers));
      child.setStringProperty("constants", text(member.constants));
      child.setStringProperty("weights", encode(member.weights.get(), member.weight_bytes));
      child.setStringProperty("types", text(member.types));
      child.setIntProperty("intervals", int(member.intervals));
      if (!is_charged) continue;
      child.setStringProperty("start", text(member.charges.start));
      child.setDoubleProperty("alpha", member.charges.alpha);
      child.setBoolProperty("learned", member.charges.is_learned);
    }
  }

  void *deserialize(const OpenMM::SerializationNode &node) const override {
    return with_memory([&] { return read(node); });
  }

 private:
  static AllegroForce *read(const OpenMM::SerializationNode &node) {
    const int version = node.getIntProperty("version");
    if (version < ALLEGRO_PLUGIN_VERSION || version > ALLEGRO_EMBEDDED_VERSION)
      throw OpenMM::OpenMMException(
          "AllegroForce: expected XML of version " + std::to_string(ALLEGRO_PLUGIN_VERSION) +
          " to " + std::to_string(ALLEGRO_EMBEDDED_VERSION) + ", found " +
          std::to_string(version));
    const bool is_charged = version >= ALLEGRO_CHARGED_VERSION;
    auto models = std::make_shared<Models>();
    models->is_embedded = version == ALLEGRO_EMBEDDED_VERSION;
    models->about = string_property(node, "about");
    models->is_periodic = node.getBoolProperty("periodic");
    models->cutoff = node.getDoubleProperty("cutoff");
    models->skin = node.getDoubleProperty("skin");
    models->particles = array<int64_t>(node, "particles");
    models->caps = array<Cap>(node, "caps");
    if (is_charged) {
      models->total_charge = node.getDoubleProperty("totalCharge");
      const int images = node.getIntProperty("images");
      if (images < 0 || images > 2) fail("images 0 to 2", std::to_string(images));
      models->images = Images(images);
    }
    if (models->is_embedded) {
      models->points = array<Point>(node, "points");
      models->reach = node.getDoubleProperty("reach");
    }
    const int number = node.getIntProperty("models");
    for (int m = 0; m < number; ++m)
      models->members.push_back(
          member(node.getChildNode("Model" + std::to_string(m)), is_charged));
    if (has_child(node, "Model" + std::to_string(std::max(0, number))))
      fail(std::to_string(number) + " models", "more");
    models->check(*ChosenKernels::get());
    auto force = std::make_unique<AllegroForce>(models);
    force->setForceGroup(node.getIntProperty("forceGroup", 0));
    force->setName(string_property(node, "name"));
    return force.release();
  }

  static bool has_child(const OpenMM::SerializationNode &node, const std::string &name) {
    try {
      node.getChildNode(name);
      return true;
    } catch (const OpenMM::OpenMMException &) {
      return false;
    }
  }

  template <typename T> static std::string text(const std::vector<T> &values) {
    return encode(values.data(), values.size() * sizeof(T));
  }

  template <typename T>
  static std::vector<T> array(const OpenMM::SerializationNode &node, const char *name) {
    const std::string bytes = decode(string_property(node, name), name);
    if (bytes.size() % sizeof(T))
      throw OpenMM::OpenMMException(
          "AllegroForce: expected whole numbers of " + std::to_string(sizeof(T)) +
          " bytes in " + name + ", found " + std::to_string(bytes.size()) + " bytes");
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!bytes.empty())  // of nothing there may be no address
      std::memcpy(static_cast<void *>(values.data()), bytes.data(), bytes.size());
    return values;
  }

  static Model member(const OpenMM::SerializationNode &node, bool is_charged) {
    Model model;
    model.is_double = node.getBoolProperty("double");
    model.integers = array<int64_t>(node, "integers");
    model.constants = array<double>(node, "constants");
    model.set_weights(decode(string_property(node, "weights"), "weights"));
    model.types = array<int64_t>(node, "types");
    model.intervals = node.getIntProperty("intervals", 0);
    if (!is_charged) return model;
    model.charges.start = array<double>(node, "start");
    if (model.charges.start.empty()) fail("charges of elements", "none");
    model.charges.alpha = node.getDoubleProperty("alpha");
    model.charges.is_learned = node.getBoolProperty("learned");
    return model;
  }
};

}  // namespace Allegro

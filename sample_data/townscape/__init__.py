"""A small heightfield renderer that draws invented towns as an aeroplane camera would see them.

``plan``, ``land``, ``roads``, ``blocks`` and ``traffic`` lay a town out as plain records in metres; ``surfaces``,
``buildings``, ``plants`` and ``vehicles`` paint these records into albedo and height; ``light`` and
``camera`` turn albedo and height into a photograph; ``output`` writes the picture and its truth.
"""

<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de">
<context>
    <name>NssaGis</name>
    <message>
        <source>Engine: {} ({})</source>
        <translation>Suchprogramm: {} ({})</translation>
    </message>
    <message>
        <source>Cancelled. What was finished is kept: run again with 'Resume an interrupted run'.</source>
        <translation>Abgebrochen. Was fertig war, bleibt erhalten: erneut starten mit „Einen unterbrochenen Lauf fortsetzen“.</translation>
    </message>
    <message>
        <source>Detect in a folder of scenes</source>
        <translation>In einem Ordner von Bildern suchen</translation>
    </message>
    <message>
        <source>Finds small objects in every raster of a folder and its sub-folders, and writes one vector layer a scene into another folder. A scene that fails is reported and the others go on. With 'Resume', layers that are there are left alone and interrupted scenes go on.</source>
        <translation>Findet kleine Objekte in jedem Raster eines Ordners und seiner Unterordner und schreibt einen Vektorlayer je Bild in einen anderen Ordner. Ein Bild, das scheitert, wird gemeldet, und die anderen gehen weiter. Mit „Fortsetzen“ bleiben vorhandene Layer, wie sie sind, und unterbrochene Bilder gehen weiter.</translation>
    </message>
    <message>
        <source>Folder of scenes</source>
        <translation>Ordner mit Bildern</translation>
    </message>
    <message>
        <source>Folder for the layers</source>
        <translation>Ordner für die Layer</translation>
    </message>
    <message>
        <source>Number of objects</source>
        <translation>Anzahl der Objekte</translation>
    </message>
    <message>
        <source>Check the installation</source>
        <translation>Installation prüfen</translation>
    </message>
    <message>
        <source>Shows which engine is used, how it was found, its versions and the device it would run on. With 'Engine' an nssa-gis executable can be named that the plugin shall use from now on; empty forgets one that was named.</source>
        <translation>Zeigt, welches Suchprogramm benutzt wird, wie es gefunden wurde, seine Versionen und das Gerät, auf dem es rechnen würde. Unter „Suchprogramm“ kann eine nssa-gis-Programmdatei genannt werden, die fortan benutzt wird; leer vergisst eine genannte.</translation>
    </message>
    <message>
        <source>Engine: an nssa-gis executable</source>
        <translation>Suchprogramm: eine nssa-gis-Programmdatei</translation>
    </message>
    <message>
        <source>Report</source>
        <translation>Bericht</translation>
    </message>
    <message>
        <source>Detect small objects</source>
        <translation>Kleine Objekte finden</translation>
    </message>
    <message>
        <source>Finds objects of a few pixels (by default vehicles) in a raster of any size and gives them as a vector layer with class, confidence and size.

Raster files are read directly, tile by tile. Web maps (WMS, XYZ) are exported first at the chosen extent and ground sample distance. The area of interest may be in any CRS; if only selected features are used, only they count.

The default model is made for 0.15 to 0.4 m per pixel. A raster that is finer is reduced, one that is much coarser is refused unless a ground sample distance is given.

A cancelled run keeps what it has: run it again with the same values and 'Resume an interrupted run'.</source>
        <translation>Findet Objekte von wenigen Pixeln (als Vorgabe Fahrzeuge) in einem Raster beliebiger Größe und liefert sie als Vektorlayer mit Klasse, Sicherheit und Größe.

Rasterdateien werden unmittelbar gelesen, Kachel um Kachel. Kartendienste (WMS, XYZ) werden zuerst mit der gewählten Ausdehnung und Bodenauflösung exportiert. Das Suchgebiet darf in jedem KBS liegen; werden nur gewählte Objekte benutzt, so zählen nur sie.

Das eingebaute Modell ist für 0,15 bis 0,4 m je Pixel gemacht. Ein feineres Raster wird verkleinert, ein viel gröberes abgelehnt, außer es ist eine Bodenauflösung angegeben.

Ein abgebrochener Lauf behält, was er hat: mit denselben Werten und „Einen unterbrochenen Lauf fortsetzen“ erneut starten.</translation>
    </message>
    <message>
        <source>Heat map</source>
        <translation>Heatmap</translation>
    </message>
    <message>
        <source>Radius of the heat map [units of the layer's CRS]</source>
        <translation>Radius der Heatmap [Einheiten des Layer-KBS]</translation>
    </message>
    <message>
        <source>No object was found: there is no heat map to draw. The (empty) layer is written.</source>
        <translation>Kein Objekt gefunden: Es gibt keine Heatmap zu zeichnen. Der (leere) Layer ist geschrieben.</translation>
    </message>
    <message>
        <source>Raster layer</source>
        <translation>Rasterlayer</translation>
    </message>
    <message>
        <source>Extent (default: the whole raster)</source>
        <translation>Ausdehnung (Vorgabe: das ganze Raster)</translation>
    </message>
    <message>
        <source>Area of interest</source>
        <translation>Suchgebiet</translation>
    </message>
    <message>
        <source>Objects</source>
        <translation>Objekte</translation>
    </message>
    <message>
        <source>{} objects</source>
        <translation>{} Objekte</translation>
    </message>
    <message>
        <source>{}: the layer must be a file in a folder that exists; databases are no targets.</source>
        <translation>{}: Der Layer muss eine Datei in einem vorhandenen Ordner sein; Datenbanken sind keine Ziele.</translation>
    </message>
    <message>
        <source>Install or update the engine</source>
        <translation>Suchprogramm installieren oder aktualisieren</translation>
    </message>
    <message>
        <source>Makes an environment of its own in your QGIS profile and installs the detection engine into it: about 1.3 GB with the CPU build of PyTorch. Nothing is installed into QGIS. The engine in use is replaced only when the new one has been verified.

Without internet: name a folder that holds all wheels (pip download nssa-gis -d FOLDER on a machine like this one). QGIS' proxy settings are passed on.</source>
        <translation>Legt in Ihrem QGIS-Profil eine eigene Umgebung an und installiert das Suchprogramm hinein: rund 1,3 GB mit PyTorch für die CPU. In QGIS selbst wird nichts installiert. Ein benutztes Suchprogramm wird erst ersetzt, wenn das neue geprüft ist.

Ohne Internet: einen Ordner mit allen Wheels nennen (pip download nssa-gis -d ORDNER auf einem gleichartigen Rechner). Die Proxy-Einstellungen von QGIS werden weitergegeben.</translation>
    </message>
    <message>
        <source>CPU (small)</source>
        <translation>CPU (klein)</translation>
    </message>
    <message>
        <source>NVIDIA GPU (CUDA)</source>
        <translation>NVIDIA-GPU (CUDA)</translation>
    </message>
    <message>
        <source>PyPI's default</source>
        <translation>Vorgabe von PyPI</translation>
    </message>
    <message>
        <source>Package: name, wheel or source folder</source>
        <translation>Paket: Name, Wheel oder Quellordner</translation>
    </message>
    <message>
        <source>Python 3.10 to 3.13 (default: the first one found)</source>
        <translation>Python 3.10 bis 3.13 (Vorgabe: das erste gefundene)</translation>
    </message>
    <message>
        <source>PyTorch</source>
        <translation>PyTorch</translation>
    </message>
    <message>
        <source>Folder of wheels (offline installation)</source>
        <translation>Ordner mit Wheels (Installation ohne Internet)</translation>
    </message>
    <message>
        <source>Executable</source>
        <translation>Programmdatei</translation>
    </message>
    <message>
        <source>Cancelled; nothing was changed.</source>
        <translation>Abgebrochen; nichts wurde geändert.</translation>
    </message>
    <message>
        <source>Remove the engine</source>
        <translation>Suchprogramm entfernen</translation>
    </message>
    <message>
        <source>Deletes the environment that 'Install or update the engine' made. Other engines are left alone.</source>
        <translation>Löscht die Umgebung, die „Suchprogramm installieren oder aktualisieren“ angelegt hat. Andere Suchprogramme bleiben.</translation>
    </message>
    <message>
        <source>The engine is removed.</source>
        <translation>Das Suchprogramm ist entfernt.</translation>
    </message>
    <message>
        <source>There was no engine of the plugin's own.</source>
        <translation>Es gab kein Suchprogramm der Erweiterung.</translation>
    </message>
    <message>
        <source>Model (name of a built-in one, or a .safetensors file)</source>
        <translation>Modell (Name eines eingebauten oder eine .safetensors-Datei)</translation>
    </message>
    <message>
        <source>Least confidence</source>
        <translation>Kleinste Sicherheit</translation>
    </message>
    <message>
        <source>Classes, separated by commas</source>
        <translation>Klassen, durch Kommas getrennt</translation>
    </message>
    <message>
        <source>Ground sample distance for the network</source>
        <translation>Bodenauflösung für das Netz</translation>
    </message>
    <message>
        <source>Resampling factor instead of a ground sample distance</source>
        <translation>Skalierungsfaktor statt einer Bodenauflösung</translation>
    </message>
    <message>
        <source>Bands for red, green, blue, such as 4,3,2</source>
        <translation>Kanäle für Rot, Grün, Blau, etwa 4,3,2</translation>
    </message>
    <message>
        <source>Tile size</source>
        <translation>Kachelgröße</translation>
    </message>
    <message>
        <source>Overlap of tiles</source>
        <translation>Überlappung der Kacheln</translation>
    </message>
    <message>
        <source>Test-time augmentation: average over mirrored, turned or resized views</source>
        <translation>Mehrfach hinsehen (TTA): Mittel über gespiegelte, gedrehte oder skalierte Ansichten</translation>
    </message>
    <message>
        <source>How detections of neighbouring tiles become one</source>
        <translation>Wie Funde benachbarter Kacheln vereint werden</translation>
    </message>
    <message>
        <source>Device (auto, cpu, cuda, cuda:1, mps)</source>
        <translation>Gerät (auto, cpu, cuda, cuda:1, mps)</translation>
    </message>
    <message>
        <source>Backend</source>
        <translation>Rechenbibliothek</translation>
    </message>
    <message>
        <source>Tiles per call of the network</source>
        <translation>Kacheln je Aufruf des Netzes</translation>
    </message>
    <message>
        <source>CPU threads of the network</source>
        <translation>CPU-Threads des Netzes</translation>
    </message>
    <message>
        <source>Threads that read the raster</source>
        <translation>Threads, die das Raster lesen</translation>
    </message>
    <message>
        <source>Output driver (GDAL name)</source>
        <translation>Ausgabeformat (GDAL-Name)</translation>
    </message>
    <message>
        <source>Geometry</source>
        <translation>Geometrie</translation>
    </message>
    <message>
        <source>CRS of the layer</source>
        <translation>KBS des Layers</translation>
    </message>
    <message>
        <source>Resume an interrupted run</source>
        <translation>Einen unterbrochenen Lauf fortsetzen</translation>
    </message>
    <message>
        <source>default</source>
        <translation>Vorgabe</translation>
    </message>
    <message>
        <source>Detect small objects…</source>
        <translation>Kleine Objekte finden …</translation>
    </message>
    <message>
        <source>Processing is switched off: enable the Processing plugin in the plugin manager.</source>
        <translation>Die Verarbeitungswerkzeuge sind ausgeschaltet: Bitte in der Erweiterungsverwaltung „Processing“ einschalten.</translation>
    </message>
    <message>
        <source>The area of interest holds no feature (is a selection empty?).</source>
        <translation>Das Suchgebiet enthält kein Objekt (ist die Auswahl leer?).</translation>
    </message>
    <message>
        <source>Exporting {}: {} x {} pixels of {} m</source>
        <translation>Exportiere {}: {} x {} Pixel zu {} m</translation>
    </message>
    <message>
        <source>The layer {} is no raster file ({}): choose an extent, and that part is exported first.</source>
        <translation>Der Layer {} ist keine Rasterdatei ({}): Bitte eine Ausdehnung wählen; dieser Teil wird dann zuerst exportiert.</translation>
    </message>
    <message>
        <source>Exporting {} at {} m per pixel would make {} x {} pixels; at most {} a side are taken from such a layer. Choose a smaller extent or a larger ground sample distance.</source>
        <translation>Der Export von {} mit {} m je Pixel ergäbe {} x {} Pixel; von einem solchen Layer werden höchstens {} je Seite geholt. Bitte eine kleinere Ausdehnung oder eine gröbere Bodenauflösung wählen.</translation>
    </message>
    <message>
        <source>The layer {} cannot be read for export.</source>
        <translation>Der Layer {} kann nicht zum Export gelesen werden.</translation>
    </message>
    <message>
        <source>Exporting {} failed (code {}).</source>
        <translation>Der Export von {} ist gescheitert (Code {}).</translation>
    </message>
    <message>
        <source>The area of interest cannot be written: {}</source>
        <translation>Das Suchgebiet kann nicht geschrieben werden: {}</translation>
    </message>
    <message>
        <source>Class</source>
        <translation>Klasse</translation>
    </message>
    <message>
        <source>Class number</source>
        <translation>Nummer der Klasse</translation>
    </message>
    <message>
        <source>Confidence</source>
        <translation>Sicherheit</translation>
    </message>
    <message>
        <source>Width [m]</source>
        <translation>Breite [m]</translation>
    </message>
    <message>
        <source>Height [m]</source>
        <translation>Höhe [m]</translation>
    </message>
    <message>
        <source>Length [m]</source>
        <translation>Länge [m]</translation>
    </message>
    <message>
        <source>Area [m²]</source>
        <translation>Fläche [m²]</translation>
    </message>
    <message>
        <source>Column [px]</source>
        <translation>Spalte [px]</translation>
    </message>
    <message>
        <source>Row [px]</source>
        <translation>Zeile [px]</translation>
    </message>
    <message>
        <source>Width [px]</source>
        <translation>Breite [px]</translation>
    </message>
    <message>
        <source>Height [px]</source>
        <translation>Höhe [px]</translation>
    </message>
    <message>
        <source>Scene</source>
        <translation>Bild</translation>
    </message>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Model version</source>
        <translation>Version des Modells</translation>
    </message>
    <message>
        <source>Objects found by nssa-gis.</source>
        <translation>Von nssa-gis gefundene Objekte.</translation>
    </message>
</context>
</TS>

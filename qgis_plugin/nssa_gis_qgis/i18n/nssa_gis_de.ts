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
        <source>Log: {}</source>
        <translation>Protokoll: {}</translation>
    </message>
    <message>
        <source>the engine was killed, or ended without a message</source>
        <translation>das Suchprogramm wurde beendet oder endete ohne Meldung</translation>
    </message>
    <message>
        <source>Cancelled: {}</source>
        <translation>Abgebrochen: {}</translation>
    </message>
    <message>
        <source>Detect in a folder of scenes</source>
        <translation>In einem Ordner von Bildern suchen</translation>
    </message>
    <message>
        <source>Finds small objects in every raster of a folder (without its sub-folders) and writes one vector layer for each scene into another folder. If a scene fails, it is reported and the others go on. With 'Resume', existing layers stay as they are and interrupted scenes go on.</source>
        <translation>Findet kleine Objekte in jedem Raster eines Ordners (ohne seine Unterordner) und schreibt für jedes Bild einen Vektorlayer in einen anderen Ordner. Scheitert ein Bild, wird es gemeldet, und die anderen gehen weiter. Mit „Fortsetzen“ bleiben vorhandene Layer, wie sie sind, und unterbrochene Bilder gehen weiter.</translation>
    </message>
    <message>
        <source>{} scenes failed; the log has the reasons: {}</source>
        <translation>{} Bilder sind gescheitert; die Gründe stehen im Protokoll: {}</translation>
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
        <source>Shows the engine, how it was found, its versions and the device that it runs on. Under 'Engine' you can give the path of an nssa-gis executable, which the plugin then uses. An empty path clears the setting.</source>
        <translation>Zeigt das Suchprogramm, wie es gefunden wurde, seine Versionen und das Gerät, auf dem es rechnet. Unter „Suchprogramm“ können Sie den Pfad einer nssa-gis-Programmdatei angeben, die die Erweiterung dann benutzt. Ein leerer Pfad löscht die Einstellung.</translation>
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
        <source>named here</source>
        <translation>hier genannt</translation>
    </message>
    <message>
        <source>Detect small objects</source>
        <translation>Kleine Objekte finden</translation>
    </message>
    <message>
        <source>Finds objects of a few pixels (by default vehicles) in a raster of any size. The result is a vector layer with class, score and size.

Raster files are read directly, tile by tile. Web maps (WMS, XYZ) are exported first, at the chosen extent and ground sample distance. The area of interest may be in any CRS. If you also give an extent, only the part inside it is processed.

Model: leave it empty for the built-in model aerial-vehicles. aerial-4 finds vehicles, airliners, ships and storage tanks. For your own model, give the path of its .safetensors file.

The default model is made for 0.15 to 0.4 m per pixel. A finer raster is reduced. A much coarser one is refused unless you give a ground sample distance.

A cancelled run keeps the finished rows of tiles. To continue, run again with the same values and 'Resume an interrupted run'. The layer must then be a file, not a temporary layer.</source>
        <translation>Findet Objekte von wenigen Pixeln (als Vorgabe Fahrzeuge) in einem Raster beliebiger Größe. Das Ergebnis ist ein Vektorlayer mit Klasse, Konfidenz und Größe.

Rasterdateien werden unmittelbar gelesen, Kachel um Kachel. Kartendienste (WMS, XYZ) werden zuerst mit der gewählten Ausdehnung und Bodenauflösung exportiert. Das Suchgebiet darf in jedem KBS liegen. Ist auch eine Ausdehnung angegeben, wird nur der Teil darin bearbeitet.

Modell: leer lassen für das eingebaute Modell aerial-vehicles. aerial-4 findet Fahrzeuge, Verkehrsflugzeuge, Schiffe und Lagertanks. Für ein eigenes Modell den Pfad seiner .safetensors-Datei angeben.

Das eingebaute Modell ist für 0,15 bis 0,4 m je Pixel gemacht. Ein feineres Raster wird verkleinert. Ein viel gröberes wird abgelehnt, außer es ist eine Bodenauflösung angegeben.

Ein abgebrochener Lauf behält die fertigen Kachelreihen. Zum Fortsetzen mit denselben Werten und „Einen unterbrochenen Lauf fortsetzen“ erneut starten. Dann muss der Layer eine Datei sein, kein temporärer Layer.</translation>
    </message>
    <message>
        <source>Heat map</source>
        <translation>Heatmap</translation>
    </message>
    <message>
        <source>Radius of the heat map [m]</source>
        <translation>Radius der Heatmap [m]</translation>
    </message>
    <message>
        <source>A run into a temporary layer cannot be resumed, because each run gets a new temporary file. Choose a file as output.</source>
        <translation>Ein Lauf in einen temporären Layer kann nicht fortgesetzt werden, denn jeder Lauf bekommt eine neue temporäre Datei. Bitte eine Datei als Ausgabe wählen.</translation>
    </message>
    <message>
        <source>To continue: run again with the same values and 'Resume an interrupted run'.</source>
        <translation>Zum Fortsetzen: mit denselben Werten und „Einen unterbrochenen Lauf fortsetzen“ erneut starten.</translation>
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
        <source>No objects were found, so there is no heat map.</source>
        <translation>Es wurden keine Objekte gefunden, also gibt es keine Heatmap.</translation>
    </message>
    <message>
        <source>{} objects</source>
        <translation>{} Objekte</translation>
    </message>
    <message>
        <source>{}: the layer must be a file in an existing folder; databases are not supported.</source>
        <translation>{}: Der Layer muss eine Datei in einem vorhandenen Ordner sein; Datenbanken werden nicht unterstützt.</translation>
    </message>
    <message>
        <source>The heat map could not be drawn: {}</source>
        <translation>Die Heatmap konnte nicht gezeichnet werden: {}</translation>
    </message>
    <message>
        <source>Install or update the engine</source>
        <translation>Suchprogramm installieren oder aktualisieren</translation>
    </message>
    <message>
        <source>Creates an environment in your QGIS profile and installs the detection engine into it: about 1.3 GB with the CPU build of PyTorch. Nothing is installed into QGIS. The old engine is replaced only after the new one has been verified.

Without internet: give a folder with all wheels (made by pip download nssa-gis -d FOLDER on a similar computer). The proxy settings of QGIS are passed on.</source>
        <translation>Legt in Ihrem QGIS-Profil eine Umgebung an und installiert das Suchprogramm hinein: rund 1,3 GB mit PyTorch für die CPU. In QGIS selbst wird nichts installiert. Das alte Suchprogramm wird erst ersetzt, wenn das neue geprüft ist.

Ohne Internet: einen Ordner mit allen Wheels angeben (mit pip download nssa-gis -d ORDNER auf einem gleichartigen Rechner erstellt). Die Proxy-Einstellungen von QGIS werden weitergegeben.</translation>
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
        <source>Deletes the environment that 'Install or update the engine' created. Other engines stay.</source>
        <translation>Löscht die Umgebung, die „Suchprogramm installieren oder aktualisieren“ angelegt hat. Andere Suchprogramme bleiben.</translation>
    </message>
    <message>
        <source>The engine is removed.</source>
        <translation>Das Suchprogramm ist entfernt.</translation>
    </message>
    <message>
        <source>There is nothing to remove: the plugin has not installed an engine.</source>
        <translation>Es gibt nichts zu entfernen: Die Erweiterung hat kein Suchprogramm installiert.</translation>
    </message>
    <message>
        <source>The area of interest holds no feature (is a selection empty?).</source>
        <translation>Das Suchgebiet enthält kein Objekt (ist die Auswahl leer?).</translation>
    </message>
    <message>
        <source>The extent and the area of interest do not overlap.</source>
        <translation>Die Ausdehnung und das Suchgebiet überlappen sich nicht.</translation>
    </message>
    <message>
        <source>The area of interest cannot be written: {}</source>
        <translation>Das Suchgebiet kann nicht geschrieben werden: {}</translation>
    </message>
    <message>
        <source>The area of interest cannot be transformed: {}</source>
        <translation>Das Suchgebiet kann nicht transformiert werden: {}</translation>
    </message>
    <message>
        <source>The detection engine nssa-gis is not installed. Run the algorithm 'Install or update the engine' of NSSA-GIS in the toolbox, or set the environment variable NSSA_GIS to an nssa-gis executable.</source>
        <translation>Das Suchprogramm nssa-gis ist nicht installiert. Bitte in der Werkzeugkiste unter NSSA-GIS „Suchprogramm installieren oder aktualisieren“ ausführen oder die Umgebungsvariable NSSA_GIS auf eine nssa-gis-Programmdatei setzen.</translation>
    </message>
    <message>
        <source>The engine ended with code {} without a message; its last lines: {}</source>
        <translation>Das Suchprogramm endete mit Code {} ohne Meldung; seine letzten Zeilen: {}</translation>
    </message>
    <message>
        <source>plugin setting</source>
        <translation>Einstellung der Erweiterung</translation>
    </message>
    <message>
        <source>environment variable NSSA_GIS</source>
        <translation>Umgebungsvariable NSSA_GIS</translation>
    </message>
    <message>
        <source>installed by the plugin</source>
        <translation>von der Erweiterung installiert</translation>
    </message>
    <message>
        <source>None of the scenes could be processed ({} failed); the first one: {}</source>
        <translation>Keines der Bilder konnte bearbeitet werden ({} gescheitert); das erste: {}</translation>
    </message>
    <message>
        <source>nothing</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>log: {}</source>
        <translation>Protokoll: {}</translation>
    </message>
    <message>
        <source>The engine was ended by signal {} without a message; its last lines: {}</source>
        <translation>Das Suchprogramm wurde von Signal {} ohne Meldung beendet; seine letzten Zeilen: {}</translation>
    </message>
    <message>
        <source>{}: {} x {} px at the model's resolution, {} tiles; {}</source>
        <translation>{}: {} x {} px in der Auflösung des Modells, {} Kacheln; {}</translation>
    </message>
    <message>
        <source>tile {} of {}, {} found</source>
        <translation>Kachel {} von {}, {} gefunden</translation>
    </message>
    <message>
        <source>The engine {} does not exist ({}). Correct the path, or clear it: run the algorithm 'Check the installation' with an empty engine path.</source>
        <translation>Das Suchprogramm {} gibt es nicht ({}). Bitte den Pfad berichtigen oder löschen: „Installation prüfen“ mit leerem Suchprogramm ausführen.</translation>
    </message>
    <message>
        <source>{} tiles were finished by the interrupted run</source>
        <translation>{} Kacheln hat der unterbrochene Lauf fertiggestellt</translation>
    </message>
    <message>
        <source>cancelled</source>
        <translation>abgebrochen</translation>
    </message>
    <message>
        <source>The layer has no CRS: the radius of the heat map is in the units of the layer.</source>
        <translation>Der Layer hat kein KBS: Der Radius der Heatmap gilt in seinen Einheiten.</translation>
    </message>
    <message>
        <source>The heat map is drawn in {}, because its radius is in metres.</source>
        <translation>Die Heatmap wird in {} gezeichnet, weil ihr Radius in Metern angegeben ist.</translation>
    </message>
    <message>
        <source>The engine sees no CUDA device: it will run on the CPU. Is NVIDIA's driver installed?</source>
        <translation>Das Suchprogramm sieht kein CUDA-Gerät: Es wird auf der CPU rechnen. Ist der Treiber von NVIDIA installiert?</translation>
    </message>
    <message>
        <source>Creating the environment</source>
        <translation>Umgebung wird angelegt</translation>
    </message>
    <message>
        <source>Installing (PyTorch is the large part)</source>
        <translation>Wird installiert (PyTorch ist der große Teil)</translation>
    </message>
    <message>
        <source>Verifying</source>
        <translation>Wird geprüft</translation>
    </message>
    <message>
        <source>The engine is in use. End all runs and try again.</source>
        <translation>Das Suchprogramm wird benutzt. Bitte alle Läufe beenden und erneut versuchen.</translation>
    </message>
    <message>
        <source>The engine cannot be removed: {}. End all runs and try again.</source>
        <translation>Das Suchprogramm kann nicht entfernt werden: {}. Bitte alle Läufe beenden und erneut versuchen.</translation>
    </message>
    <message>
        <source>The engine has problems: {}</source>
        <translation>Das Suchprogramm hat Probleme: {}</translation>
    </message>
    <message>
        <source>{} does not exist.</source>
        <translation>{} gibt es nicht.</translation>
    </message>
    <message>
        <source>{} does not work (exit code {}); its last lines: {}</source>
        <translation>{} funktioniert nicht (Code {}); letzte Zeilen: {}</translation>
    </message>
    <message>
        <source>The folder of wheels {} does not exist.</source>
        <translation>Den Ordner mit Wheels {} gibt es nicht.</translation>
    </message>
    <message>
        <source>{} failed: {}</source>
        <translation>{} ist gescheitert: {}</translation>
    </message>
    <message>
        <source>Model (name of a built-in one, or a .safetensors file)</source>
        <translation>Modell (Name eines eingebauten oder eine .safetensors-Datei)</translation>
    </message>
    <message>
        <source>Confidence threshold</source>
        <translation>Konfidenzschwelle</translation>
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
        <source>CRS of the raster, if its file states none</source>
        <translation>KBS des Rasters, falls seine Datei keines nennt</translation>
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
        <source>Test-time augmentation: average over mirrored, rotated or resized views</source>
        <translation>Test-Time-Augmentation (TTA): Mittel über gespiegelte, gedrehte oder skalierte Ansichten</translation>
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
        <source>Replace existing layers</source>
        <translation>Vorhandene Layer ersetzen</translation>
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
        <source>{} cannot be started: {}</source>
        <translation>{} kann nicht gestartet werden: {}</translation>
    </message>
    <message>
        <source>No Python from {} to {} with venv was found. Install one (python.org, your package manager: on Debian also python3-venv) and give its path under 'Python'.</source>
        <translation>Kein Python von {} bis {} mit venv gefunden. Bitte eines installieren (python.org, Paketverwaltung: unter Debian auch python3-venv) und seinen Pfad unter „Python“ angeben.</translation>
    </message>
    <message>
        <source>exit code {}</source>
        <translation>Code {}</translation>
    </message>
    <message>
        <source>{} cannot make an environment: {}</source>
        <translation>{} kann keine Umgebung anlegen: {}</translation>
    </message>
    <message>
        <source>{} is Python {}; the engine needs {} to {}.</source>
        <translation>{} ist Python {}; das Suchprogramm braucht {} bis {}.</translation>
    </message>
    <message>
        <source>Exporting {}: {} x {} pixels of {} m</source>
        <translation>Exportiere {}: {} x {} Pixel zu {} m</translation>
    </message>
    <message>
        <source>The export of {} has one colour only: check that the layer shows something here, at this scale.</source>
        <translation>Der Export von {} ist einfarbig: Bitte prüfen, ob der Layer hier in diesem Maßstab etwas zeigt.</translation>
    </message>
    <message>
        <source>The layer {} needs a login that is kept in QGIS; the engine cannot use it. Download the raster, or add it without an authentication configuration.</source>
        <translation>Der Layer {} braucht eine Anmeldung, die in QGIS verwahrt ist; das Suchprogramm kann sie nicht benutzen. Bitte das Raster herunterladen oder ohne Authentifizierungskonfiguration hinzufügen.</translation>
    </message>
    <message>
        <source>The layer {} is opened with options of QGIS, which the engine ignores.</source>
        <translation>Der Layer {} ist mit Optionen von QGIS geöffnet, die das Suchprogramm nicht beachtet.</translation>
    </message>
    <message>
        <source>In QGIS the layer {} has the CRS {}, but its file says {}: the engine uses the CRS of the file, and the objects get it too. If the file is wrong, correct it first (Raster &gt; Projections &gt; Assign projection).</source>
        <translation>In QGIS hat der Layer {} das KBS {}, seine Datei aber sagt {}: Das Suchprogramm nimmt das der Datei, und die Objekte bekommen es. Ist die Datei falsch, sollte sie zuerst berichtigt werden (Raster &gt; Projektionen &gt; Projektion zuweisen).</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keines</translation>
    </message>
    <message>
        <source>The layer {} is not a raster file ({}): choose an extent or an area of interest; that part is exported first.</source>
        <translation>Der Layer {} ist keine Rasterdatei ({}): Bitte eine Ausdehnung oder ein Suchgebiet wählen; dieser Teil wird dann zuerst exportiert.</translation>
    </message>
    <message>
        <source>The export of {} at {} m per pixel would have {} x {} pixels; the limit for such a layer is {} a side. Choose a smaller extent or a larger ground sample distance.</source>
        <translation>Der Export von {} mit {} m je Pixel hätte {} x {} Pixel; die Grenze für einen solchen Layer ist {} je Seite. Bitte eine kleinere Ausdehnung oder eine gröbere Bodenauflösung wählen.</translation>
    </message>
    <message>
        <source>Using the earlier export of {}</source>
        <translation>Der frühere Export von {} wird benutzt</translation>
    </message>
    <message>
        <source>The layer {} cannot be read for export.</source>
        <translation>Der Layer {} kann nicht zum Export gelesen werden.</translation>
    </message>
    <message>
        <source>Exporting {} failed: {}</source>
        <translation>Der Export von {} ist gescheitert: {}</translation>
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
        <translation>Konfidenz</translation>
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
    <message>
        <source>pip cannot use the type of proxy that QGIS uses ({}); trying without it.</source>
        <translation>pip kann die Art von Proxy, die QGIS benutzt ({}), nicht benutzen; es wird ohne ihn versucht.</translation>
    </message>
    <message>
        <source>The login of the proxy is in an authentication configuration of QGIS and is not passed on. If the proxy refuses the connection, set the variable HTTPS_PROXY before you start QGIS.</source>
        <translation>Die Anmeldung am Proxy steht in einer Authentifizierungskonfiguration von QGIS und wird nicht weitergegeben. Weist der Proxy die Verbindung ab, bitte vor dem Start von QGIS die Variable HTTPS_PROXY setzen.</translation>
    </message>
    <message>
        <source>Model: a built-in one (aerial-vehicles, or aerial-4 for vehicles, airliners, ships and storage tanks) or a .safetensors file.</source>
        <translation>Modell: ein eingebautes (aerial-vehicles oder, für Fahrzeuge, Verkehrsflugzeuge, Schiffe und Lagertanks, aerial-4) oder eine .safetensors-Datei.</translation>
    </message>
    <message>
        <source>aerial-vehicles</source>
        <translation>aerial-vehicles</translation>
    </message>
    <message>
        <source>Test-time augmentation: run the network on every tile mirrored (flip, 4 views), rotated (rot, 4 views) or resized (scale, 3 views) and average; takes as many times longer.</source>
        <translation>Test-Time-Augmentation: das Netz auch auf jede Kachel gespiegelt (flip, 4 Ansichten), gedreht (rot, 4 Ansichten) oder skaliert (scale, 3 Ansichten) anwenden und mitteln; dauert ebenso viel länger.</translation>
    </message>
    <message>
        <source>Where the network runs: auto, cpu, cuda, cuda:1, mps.</source>
        <translation>Wo das Netz rechnet: auto, cpu, cuda, cuda:1, mps.</translation>
    </message>
    <message>
        <source>What runs the network.</source>
        <translation>Womit das Netz rechnet.</translation>
    </message>
    <message>
        <source>Threads of the network on the CPU.</source>
        <translation>Threads des Netzes auf der CPU.</translation>
    </message>
    <message>
        <source>all cores</source>
        <translation>alle Kerne</translation>
    </message>
    <message>
        <source>Keep objects with at least this score.</source>
        <translation>Nur Objekte mit mindestens dieser Konfidenz behalten.</translation>
    </message>
    <message>
        <source>the model's own threshold</source>
        <translation>die Schwelle des Modells</translation>
    </message>
    <message>
        <source>Keep only these classes, by name, separated by commas.</source>
        <translation>Nur diese Klassen behalten; Namen, durch Kommas getrennt.</translation>
    </message>
    <message>
        <source>all</source>
        <translation>alle</translation>
    </message>
    <message>
        <source>Ground sample distance to which the scene is resampled for the network.</source>
        <translation>Bodenauflösung, auf die das Bild für das Netz umgerechnet wird.</translation>
    </message>
    <message>
        <source>the model's</source>
        <translation>die des Modells</translation>
    </message>
    <message>
        <source>Resample the scene by this factor instead of to a GSD, such as a scene without a CRS; 2 makes it twice as wide and high.</source>
        <translation>Das Bild um diesen Faktor umrechnen statt auf eine Bodenauflösung, etwa ein Bild ohne KBS; 2 macht es doppelt so breit und hoch.</translation>
    </message>
    <message>
        <source>scene GSD / model GSD; 1 without CRS</source>
        <translation>Bodenauflösung des Bildes / des Modells; 1 ohne KBS</translation>
    </message>
    <message>
        <source>Bands to feed the model, counted from 1, in the model's order, such as 4,3,2.</source>
        <translation>Kanäle für das Modell, von 1 an gezählt, in der Reihenfolge des Modells, etwa 4,3,2.</translation>
    </message>
    <message>
        <source>by colour interpretation, else the first ones</source>
        <translation>nach der Farbbedeutung, sonst die ersten</translation>
    </message>
    <message>
        <source>Detect only inside the polygons of this vector file, in any CRS; :LAYER names one of its layers.</source>
        <translation>Nur in den Polygonen dieser Vektordatei suchen, in jedem KBS; :LAYER nennt einen ihrer Layer.</translation>
    </message>
    <message>
        <source>the whole scene</source>
        <translation>das ganze Bild</translation>
    </message>
    <message>
        <source>Detect only inside this box: x0,y0,x1,y1.</source>
        <translation>Nur in diesem Rechteck suchen: x0,y0,x1,y1.</translation>
    </message>
    <message>
        <source>CRS of --bounds, such as EPSG:4326.</source>
        <translation>KBS von --bounds, etwa EPSG:4326.</translation>
    </message>
    <message>
        <source>the scene's</source>
        <translation>das des Bildes</translation>
    </message>
    <message>
        <source>Process pixels that a band tagged as opacity (alpha) calls transparent, too.</source>
        <translation>Auch Pixel bearbeiten, die ein als Deckkraft (Alpha) bezeichnetes Band durchsichtig nennt.</translation>
    </message>
    <message>
        <source>CRS of a scene whose file states none, such as EPSG:25832 for a picture with a world file.</source>
        <translation>KBS eines Bildes, dessen Datei keines nennt, etwa EPSG:25832 für ein Bild mit World-Datei.</translation>
    </message>
    <message>
        <source>the file's</source>
        <translation>das der Datei</translation>
    </message>
    <message>
        <source>Side of a tile; a multiple of 64.</source>
        <translation>Seite einer Kachel; ein Vielfaches von 64.</translation>
    </message>
    <message>
        <source>Overlap of neighbouring tiles; at least the size of the largest object.</source>
        <translation>Überlappung benachbarter Kacheln; mindestens so groß wie das größte Objekt.</translation>
    </message>
    <message>
        <source>Tiles per call of the network.</source>
        <translation>Kacheln je Aufruf des Netzes.</translation>
    </message>
    <message>
        <source>by device</source>
        <translation>je nach Gerät</translation>
    </message>
    <message>
        <source>Threads that read the scene ahead of the network.</source>
        <translation>Threads, die das Bild vorauslesen.</translation>
    </message>
    <message>
        <source>one per core, at most 4</source>
        <translation>einer je Kern, höchstens 4</translation>
    </message>
    <message>
        <source>Output driver, by its GDAL name, such as GPKG, GeoJSON, FlatGeobuf.</source>
        <translation>Ausgabeformat, mit seinem GDAL-Namen, etwa GPKG, GeoJSON, FlatGeobuf.</translation>
    </message>
    <message>
        <source>by the output's extension</source>
        <translation>nach der Endung der Ausgabe</translation>
    </message>
    <message>
        <source>Write the box of each object or its centre.</source>
        <translation>Das Rechteck jedes Objekts schreiben oder seinen Mittelpunkt.</translation>
    </message>
    <message>
        <source>CRS of the output layer, such as EPSG:4326.</source>
        <translation>KBS des Ausgabelayers, etwa EPSG:4326.</translation>
    </message>
    <message>
        <source>Replace an existing output, and forget an interrupted run.</source>
        <translation>Eine vorhandene Ausgabe ersetzen und einen unterbrochenen Lauf vergessen.</translation>
    </message>
    <message>
        <source>Add to an existing layer (GeoPackage only).</source>
        <translation>An einen vorhandenen Layer anfügen (nur GeoPackage).</translation>
    </message>
    <message>
        <source>Continue an interrupted run of the same scene, model and options.</source>
        <translation>Einen unterbrochenen Lauf mit demselben Bild, Modell und denselben Optionen fortsetzen.</translation>
    </message>
</context>
</TS>

"""Draws the photos of the sample listings, 512 pixels square.

    pip install resvg-py pillow && python3 sample/draw.py

Writes sample/photos/*.jpg. Every picture is a scene (wall, floor, light, shadow) with one thing in it, written here as SVG.
"""

import io
import pathlib

import resvg_py
from PIL import Image, ImageFilter

SIDE = 512
OUT = pathlib.Path(__file__).parent / "photos"


def shade(colour, by):
    """The colour, lighter (by > 0) or darker (by < 0); 1 is white, -1 black."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    target = 255 if by > 0 else 0
    return "#" + "".join(f"{round(c + (target - c) * abs(by)):02x}" for c in parts)


class Scene:
    """Collects shapes; every fill is a gradient from a lighter to a darker tone, as light from the upper left gives."""

    def __init__(self, wall, floor=None, horizon=360):
        self.defs, self.shapes, self.count = [], [], 0
        self.rect(0, 0, SIDE, SIDE, wall, r=0, depth=0.16)
        if floor:
            self.rect(0, horizon, SIDE, SIDE - horizon, floor, r=0, depth=0.2)
            self.rect(0, horizon - 9, SIDE, 9, shade(wall, 0.45), r=0, depth=0.1)
        self.defs.append(
            '<radialGradient id="lamp" cx="0.3" cy="0.2" r="0.8"><stop offset="0" stop-color="#fff" stop-opacity="0.35"/>'
            '<stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient>'
            '<filter id="soft" x="-50%" y="-50%" width="200%" height="200%"><feGaussianBlur stdDeviation="9"/></filter>'
        )
        self.shapes.append(f'<rect width="{SIDE}" height="{SIDE}" fill="url(#lamp)"/>')

    def paint(self, colour, depth=0.22):
        self.count += 1
        self.defs.append(
            f'<linearGradient id="g{self.count}" x1="0" y1="0" x2="0.35" y2="1"><stop offset="0" stop-color="{shade(colour, depth)}"/>'
            f'<stop offset="1" stop-color="{shade(colour, -depth)}"/></linearGradient>'
        )
        return f"url(#g{self.count})"

    def add(self, svg):
        self.shapes.append(svg)
        return self

    def shadow(self, cx, cy, rx, ry=14, strength=0.38):
        return self.add(f'<ellipse cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}" fill="#000" opacity="{strength}" filter="url(#soft)"/>')

    def rect(self, x, y, w, h, colour, r=8, depth=0.22, extra=""):
        return self.add(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{r}" fill="{self.paint(colour, depth)}" {extra}/>')

    def ellipse(self, cx, cy, rx, ry, colour, depth=0.22, extra=""):
        return self.add(f'<ellipse cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}" fill="{self.paint(colour, depth)}" {extra}/>')

    def path(self, d, colour, depth=0.22, extra=""):
        return self.add(f'<path d="{d}" fill="{self.paint(colour, depth)}" {extra}/>')

    def line(self, d, colour, width, extra=""):
        return self.add(
            f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round" {extra}/>'
        )

    def ring(self, cx, cy, r, colour, width):
        return self.add(f'<circle cx="{cx}" cy="{cy}" r="{r}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def text(self, x, y, size, words, colour):
        return self.add(
            f'<text x="{x}" y="{y}" font-family="DejaVu Sans" font-weight="bold" font-size="{size}" fill="{colour}" text-anchor="middle">{words}</text>'
        )

    def svg(self):
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}"><defs>{"".join(self.defs)}</defs>'
            f'{"".join(self.shapes)}</svg>'
        )


def sofa():
    s = Scene("#d8cdbb", "#a87f57", 350)
    s.rect(60, 60, 120, 90, "#fbf6ec", 3).rect(72, 72, 96, 66, "#6f94a5", 2).path("M72 138 L105 96 L128 122 L145 106 L168 138Z", "#3f6b53")
    s.shadow(256, 420, 210)
    for x in (92, 404):
        s.rect(x, 396, 16, 26, "#5a3b22", 3)
    green = "#3f7a68"
    s.rect(78, 210, 356, 130, green, 26).rect(92, 222, 158, 110, shade(green, 0.1), 20).rect(262, 222, 158, 110, shade(green, 0.1), 20)
    s.rect(70, 330, 372, 72, shade(green, -0.15), 14).rect(88, 306, 166, 56, shade(green, 0.14), 18).rect(258, 306, 166, 56, shade(green, 0.14), 18)
    s.rect(48, 262, 56, 142, green, 24).rect(408, 262, 56, 142, green, 24)
    return s.rect(112, 248, 78, 70, "#e0a83c", 14, extra='transform="rotate(-9 150 283)"')


def wardrobe():
    s = Scene("#c9d6d8", "#b08d68", 400)
    s.shadow(256, 462, 150)
    oak = "#c08a4e"
    s.rect(118, 448, 22, 18, "#6b4726", 2).rect(372, 448, 22, 18, "#6b4726", 2)
    s.rect(100, 58, 312, 394, shade(oak, -0.25), 6).rect(90, 48, 332, 22, oak, 5)
    s.rect(112, 82, 140, 272, oak, 3).rect(260, 82, 140, 272, oak, 3)
    s.rect(126, 98, 112, 240, shade(oak, 0.12), 3).rect(274, 98, 112, 240, shade(oak, 0.12), 3)
    s.rect(112, 364, 288, 76, oak, 3).rect(242, 200, 7, 46, "#4d4a45", 3).rect(263, 200, 7, 46, "#4d4a45", 3)
    return s.ellipse(180, 402, 10, 7, "#4d4a45").ellipse(332, 402, 10, 7, "#4d4a45")


def lamp():
    s = Scene("#5d6b7d", "#7a5a3f", 400)
    s.add('<radialGradient id="glow"><stop offset="0" stop-color="#ffe9a8" stop-opacity="0.75"/><stop offset="1" stop-color="#ffe9a8" stop-opacity="0"/></radialGradient>')
    s.add('<circle cx="256" cy="190" r="230" fill="url(#glow)"/>')
    s.rect(60, 380, 392, 26, "#8a5e38", 4).rect(84, 406, 344, 106, "#6e4728", 0)
    s.shadow(256, 384, 84, 9)
    s.path("M226 380 C190 340 196 300 240 268 L272 268 C316 300 322 340 286 380Z", "#2f6f8f", 0.35).rect(240, 236, 32, 36, "#c9a24a", 4)
    return s.path("M196 96 L316 96 L364 240 L148 240Z", "#f6e3b2", 0.12).line("M196 96 L316 96", "#d8bd78", 5).line("M148 240 L364 240", "#d8bd78", 5)


def laptop():
    s = Scene("#e6e2dc", "#c49a6c", 300)
    s.shadow(256, 400, 215, 16)
    s.rect(112, 118, 288, 198, "#2b2e33", 12).rect(124, 130, 264, 172, "#2a6fb0", 4, 0.4)
    s.path("M124 302 L124 250 C180 200 230 290 290 230 C330 195 360 220 388 205 L388 302Z", "#5fb0a5", 0.3)
    s.path("M112 316 L400 316 L456 396 L56 396Z", "#b9bdc2", 0.12).rect(56, 394, 400, 12, "#8d9196", 5)
    for row, (left, right) in enumerate([(136, 376), (128, 384), (119, 393)]):
        y, n = 326 + row * 15, 13
        step = (right - left) / n
        for k in range(n):
            s.rect(round(left + k * step + 1, 1), y, round(step - 3, 1), 11, "#33363b", 2, 0.1)
    return s.path("M212 374 L300 374 L306 392 L206 392Z", "#a4a8ad", 0.05)


def monitor():
    s = Scene("#cfd8e6", "#8c6b4a", 380)
    s.shadow(256, 432, 130, 11).rect(238, 330, 36, 84, "#3a3d43", 4).rect(166, 408, 180, 18, "#3a3d43", 8)
    s.rect(56, 92, 400, 248, "#1d1f23", 12).rect(68, 104, 376, 214, "#2b1f56", 3, 0.35)
    s.ellipse(340, 180, 44, 44, "#f4a261", 0.3).path("M68 318 L68 262 L150 190 L220 268 L282 216 L370 296 L444 240 L444 318Z", "#7b3f8f", 0.35)
    return s.ellipse(256, 329, 4, 3, "#9aa0a8")


def office_chair():
    s = Scene("#dfe3e6", "#9aa3a8", 390)
    s.shadow(256, 462, 128, 13)
    black = "#34383e"
    s.rect(246, 350, 20, 76, "#6d737a", 4)
    for x in (150, 204, 308, 362):
        s.line(f"M256 420 L{x} 448", "#2a2d31", 13).ellipse(x, 456, 11, 10, "#1b1d20")
    s.path("M168 70 C200 54 312 54 344 70 C356 150 350 210 336 258 L176 258 C162 210 156 150 168 70Z", black, 0.25)
    for y in range(92, 246, 17):
        s.line(f"M182 {y} L330 {y}", shade(black, 0.22), 2.5)
    s.rect(236, 250, 40, 70, "#4b5057", 6).rect(140, 306, 232, 50, "#2e5f8a", 22)
    for x, to in ((130, 148), (382, 364)):
        s.line(f"M{to} 330 L{x} 306 L{x} 254", "#4b5057", 11)
        s.rect(x - 24, 240, 48, 17, black, 8)
    return s


def fryer():
    s = Scene("#d3d9da", "#8a9096", 400)
    for k in range(1, 6):
        s.line(f"M0 {k * 66} L512 {k * 66}", "#bcc5c7", 2)
        s.line(f"M{k * 86} 0 L{k * 86} 391", "#bcc5c7", 2)
    s.shadow(256, 452, 170, 12)
    steel = "#b7bec4"
    s.rect(96, 190, 320, 254, steel, 8, 0.3).rect(96, 122, 320, 84, shade(steel, -0.15), 8)
    s.rect(116, 176, 130, 22, "#40352a", 4).rect(266, 176, 130, 22, "#40352a", 4)
    for x in (124, 274):
        s.rect(x, 152, 114, 38, "#8f979e", 4)
        for k in range(6):
            s.line(f"M{x + 8 + k * 19} 154 L{x + 8 + k * 19} 188", "#5f666c", 2)
        s.line(f"M{x + 57} 160 L{x + 57} 92 L{x + 57} 76", "#3b3f44", 9).rect(x + 46, 62, 22, 46, "#202226", 8)
        for k in range(5):
            s.line(f"M{x + 14 + k * 20} 158 L{x + 26 + k * 20} 136", "#e7b23f", 9)
    for x in (176, 336):
        s.ellipse(x, 258, 26, 26, "#2b2e32").line(f"M{x} 258 L{x + 12} 240", "#f1f1f1", 4)
        s.ellipse(x, 306, 6, 6, "#e2552d")
    return s.rect(116, 340, 280, 84, shade(steel, 0.2), 4).rect(220, 352, 72, 10, "#7a8187", 5)


def hairdryer():
    s = Scene("#f1d9d9", "#f7efe9", 330)
    s.shadow(250, 424, 140, 12)
    s.line("M252 400 C300 450 400 380 452 440", "#2a2a2e", 9)
    s.path("M226 236 L290 236 L282 396 C280 412 238 412 236 396Z", "#b23a5c", 0.28)
    s.path("M130 130 C220 96 330 96 372 150 C396 190 380 236 330 252 C260 264 190 250 130 236Z", "#cf4d72", 0.32)
    s.path("M134 126 L92 112 L92 254 L134 240Z", "#2f2f35", 0.3).ellipse(92, 183, 13, 71, "#17171a")
    s.ellipse(336, 184, 38, 46, "#2f2f35")
    for k in range(-2, 3):
        s.line(f"M{308} {184 + k * 15} L{364} {184 + k * 15}", "#6a6a72", 3)
    return s.rect(248, 282, 22, 44, "#2f2f35", 8).rect(252, 288, 14, 16, "#e8e8ea", 4)


def perfume():
    s = Scene("#e9e1f0", "#cdbfd6", 370)
    s.shadow(256, 432, 120, 13)
    s.rect(218, 68, 76, 80, "#2c2438", 8, 0.35).rect(228, 146, 56, 30, "#c8a860", 4, 0.4)
    s.path("M166 200 C166 180 190 172 214 172 L298 172 C322 172 346 180 346 200 L352 412 C352 424 344 430 332 430 L180 430 C168 430 160 424 160 412Z", "#e7d3ee", 0.3, 'opacity="0.95"')
    s.path("M176 262 L336 262 L340 408 C340 416 336 418 328 418 L184 418 C176 418 172 416 172 408Z", "#d99bb8", 0.3)
    s.rect(204, 290, 104, 76, "#fbf7f2", 3, 0.05).line("M222 316 L290 316", "#8a6d3b", 4).line("M236 334 L276 334", "#b79d6c", 3)
    return s.add('<path d="M182 200 L196 196 L190 404 L178 404Z" fill="#fff" opacity="0.5"/>')


def wheelchair():
    s = Scene("#dbe4dd", "#a9a398", 380)
    s.shadow(250, 446, 170, 13)
    s.line("M150 96 L122 96", "#2a2d31", 13).line("M150 98 L168 300 L330 300 L352 420 L392 420", "#8f979e", 11)
    s.rect(154, 130, 34, 164, "#2b5b8c", 10, extra='transform="rotate(-5 170 210)"').rect(166, 276, 168, 30, "#2b5b8c", 12)
    s.line("M172 214 L300 214 L306 296", "#8f979e", 9).rect(196, 202, 96, 16, "#2a2d31", 8)
    s.ring(206, 340, 98, "#26282c", 13).ring(206, 340, 82, "#b9c0c6", 5)
    for k, (dx, dy) in enumerate([(80, 0), (57, 57), (0, 80), (-57, 57), (-80, 0), (-57, -57), (0, -80), (57, -57)]):
        s.line(f"M206 340 L{206 + dx} {340 + dy}", "#a7aeb4", 2)
    s.ellipse(206, 340, 13, 13, "#5d646b").ring(352, 412, 26, "#26282c", 11).ellipse(352, 412, 7, 7, "#a7aeb4")
    return s.path("M372 412 L424 412 L430 424 L374 426Z", "#3b3f44")


def guitar():
    s = Scene("#caa98a", "#6e4a30", 420)
    s.shadow(262, 464, 120, 12)
    body = "M256 226 C316 214 326 262 310 292 C300 312 342 330 344 380 C346 440 300 464 256 464 C212 464 166 440 168 380 C170 330 212 312 202 292 C186 262 196 214 256 226Z"
    s.path(body, "#8a4b1f", 0.1, 'transform="translate(5 4)"').path(body, "#d98b3f", 0.3)
    s.rect(241, 74, 30, 236, "#4a2d1a", 3).path("M236 20 L276 20 L272 78 L240 78Z", "#3b2212")
    s.ellipse(256, 316, 34, 34, "#2a160b").ring(256, 316, 39, "#f0d9b0", 4)
    s.rect(216, 396, 80, 17, "#3b2212", 5)
    for k in range(9):
        s.line(f"M242 {94 + k * 21} L270 {94 + k * 21}", "#cfc7b8", 2)
    for k in range(6):
        x = 245 + k * 4.4
        s.line(f"M{x} 44 L{x} 402", "#efe9dc", 1)
    for y in (32, 48, 64):
        s.ellipse(229, y, 7, 5, "#d8d3c8").ellipse(283, y, 7, 5, "#d8d3c8")
    return s


def books():
    s = Scene("#e9dcc3", "#96683f", 372)
    s.shadow(256, 440, 180, 12)
    y = 392
    for colour, width, shift, name in [("#9c2f34", 320, 0, "RIVERS"), ("#2d5d7b", 288, 14, "THE LONG WAY"), ("#d6a23a", 304, -12, "GARDENS"), ("#3f6d4a", 262, 10, "NIGHT TRAIN"), ("#6b4a7d", 240, -8, "SALT AND BREAD")]:
        x = 256 - width / 2 + shift
        s.rect(x, y, width, 46, colour, 5).rect(x + 14, y + 5, 5, 36, shade(colour, 0.5), 0).rect(x + width - 10, y + 6, 10, 34, "#f6efdc", 2)
        s.text(256 + shift, y + 30, 19, name, shade(colour, 0.75))
        y -= 47
    s.path("M206 146 L300 146 L292 200 C290 206 216 206 214 200Z", "#f4f1ea", 0.15).ring(306, 170, 16, "#e6e1d6", 8)
    return s.line("M238 130 C228 112 250 104 240 86", "#ffffff", 4, 'opacity="0.7"').line("M264 130 C254 112 276 104 266 86", "#ffffff", 4, 'opacity="0.7"')


def record():
    s = Scene("#b9c4b0", "#7a5738", 380)
    s.shadow(256, 436, 196, 13)
    s.rect(40, 90, 290, 340, "#e2653c", 4, 0.15)
    s.ellipse(185, 250, 104, 104, "#f5d68a", 0.1).ellipse(185, 250, 74, 74, "#e2653c", 0.1).ellipse(185, 250, 44, 44, "#2c4a6e", 0.1)
    s.text(185, 132, 28, "SUNDAY SKY", "#fff3d6").text(185, 404, 17, "THE PAPER KITES CLUB", "#fff3d6")
    s.path("M330 100 A160 160 0 0 1 330 420Z", "#17181b", 0.2)
    for r in (148, 133, 118, 103, 88, 73):
        s.line(f"M331 {260 - r} A{r} {r} 0 0 1 331 {260 + r}", "#3a3c42", 2)
    return s.path("M330 202 A58 58 0 0 1 330 318Z", "#d9b44a").path("M330 252 A8 8 0 0 1 330 268Z", "#f2f2f2")


def drill():
    s = Scene("#d9d4c7", "#b48a5c", 360)
    s.shadow(270, 440, 150, 13)
    teal = "#137c8b"
    s.line("M52 180 L148 180", "#8b9197", 9).path("M30 180 L56 172 L56 188Z", "#6b7177").path("M120 150 L174 140 L174 220 L120 210Z", "#2a2c30", 0.3)
    s.path("M170 118 L372 118 C404 118 420 150 420 182 C420 216 404 238 372 238 L170 238Z", teal, 0.3)
    s.path("M290 226 L380 226 L412 384 L322 384Z", "#24262a", 0.3).path("M284 240 L306 240 L318 292 C306 296 292 286 290 272Z", "#e05a2b")
    s.rect(288, 376, 158, 62, teal, 12).rect(300, 404, 134, 34, "#24262a", 8)
    for k in range(4):
        s.rect(330 + k * 18, 150, 9, 58, shade(teal, -0.5), 4)
    return s.rect(196, 150, 96, 54, "#24262a", 6).text(244, 186, 25, "18 V", "#ffffff")


def washing_machine():
    s = Scene("#cfe0e6", "#b5ada2", 410)
    s.shadow(256, 462, 160, 12)
    s.rect(104, 62, 304, 396, "#f4f5f6", 12, 0.08).rect(104, 62, 304, 78, "#e3e6e8", 12, 0.06).rect(122, 80, 92, 42, "#ffffff", 5, 0.05)
    s.ellipse(262, 101, 23, 23, "#c7ccd0").line("M262 101 L274 86", "#50565c", 4).rect(304, 82, 84, 38, "#17303a", 5).text(346, 109, 21, "40°", "#7fe0ff")
    s.ellipse(256, 294, 116, 116, "#b6bcc2", 0.25).ellipse(256, 294, 98, 98, "#4c5a66", 0.3).ellipse(256, 294, 84, 84, "#86b9cf", 0.35)
    s.path("M176 312 C206 282 226 332 262 306 C292 286 314 322 337 306 C334 356 294 378 256 378 C214 378 180 352 176 312Z", "#d7697a", 0.3)
    s.path("M186 336 C222 316 268 352 318 344 C300 368 280 378 256 378 C228 378 202 364 186 336Z", "#f1c75b", 0.25)
    return s.add('<path d="M196 262 C210 230 236 218 262 216" fill="none" stroke="#fff" stroke-width="9" stroke-linecap="round" opacity="0.65"/>').rect(360, 282, 12, 28, "#8d949a", 5)


def fridge():
    s = Scene("#e8d9c4", "#9a8c7c", 420)
    s.shadow(256, 470, 130, 11)
    s.rect(150, 34, 212, 432, "#aeb6bd", 10, 0.3).rect(156, 40, 200, 236, "#c5ccd2", 7, 0.22).rect(156, 284, 200, 176, "#c5ccd2", 7, 0.22)
    s.rect(172, 120, 10, 130, "#767e85", 5).rect(172, 306, 10, 90, "#767e85", 5)
    s.rect(244, 92, 62, 46, "#fdf3b0", 2, 0.05, 'transform="rotate(-5 275 115)"').line("M256 108 L292 105", "#7a7350", 3).line("M257 120 L284 118", "#7a7350", 3)
    return s.ellipse(274, 90, 6, 6, "#d23f3f").ellipse(310, 190, 13, 13, "#4c9a5a").ellipse(250, 196, 11, 11, "#3f74c4")


def toaster():
    s = Scene("#f0e3d0", "#d4c3aa", 350)
    s.shadow(256, 414, 170, 13)
    s.rect(166, 122, 78, 110, "#d79a4f", 16).rect(174, 132, 62, 90, "#f0cf95", 12).rect(268, 112, 78, 120, "#d79a4f", 16).rect(276, 122, 62, 90, "#f0cf95", 12)
    s.path("M104 240 C104 204 126 194 160 194 L352 194 C386 194 408 204 408 240 L416 392 C416 404 408 408 398 408 L114 408 C104 408 96 404 96 392Z", "#c23b3b", 0.32)
    s.rect(140, 196, 232, 22, "#3a2020", 10).rect(404, 264, 26, 18, "#23262a", 6).rect(96, 396, 320, 14, "#3b3f44", 4)
    s.ellipse(330, 342, 22, 22, "#e9e9ea").line("M330 342 L342 328", "#3b3f44", 4)
    return s.add('<path d="M126 232 C130 216 144 212 170 212" fill="none" stroke="#fff" stroke-width="7" stroke-linecap="round" opacity="0.6"/>')


def controller():
    s = Scene("#c6cbe0", "#8b7d74", 300)
    s.shadow(256, 398, 190, 16)
    s.path("M150 150 C190 132 322 132 362 150 C410 160 446 270 456 348 C462 402 416 414 390 376 L352 318 L160 318 L122 376 C96 414 50 402 56 348 C66 270 102 160 150 150Z", "#f1f2f5", 0.14)
    s.rect(204, 152, 104, 66, "#24272e", 12).rect(222, 146, 68, 7, "#3aa0ff", 3)
    s.rect(126, 208, 74, 24, "#2b2e35", 5).rect(151, 183, 24, 74, "#2b2e35", 5)
    for x, y, c in ((362, 184, "#3fa66b"), (396, 218, "#d1495b"), (328, 218, "#c06fb4"), (362, 252, "#3f7fd1")):
        s.ellipse(x, y, 17, 17, "#2b2e35").ring(x, y, 8, c, 3)
    for x in (206, 306):
        s.ellipse(x, 278, 37, 37, "#1a1c20").ellipse(x, 274, 27, 27, "#3a3e46", 0.35)
    return s


def handheld():
    s = Scene("#f2dfb6", "#b98d5e", 340)
    s.shadow(256, 380, 218, 15)
    s.rect(38, 158, 436, 202, "#2b2e35", 36).rect(112, 158, 288, 202, "#1f2126", 8).rect(128, 176, 256, 166, "#6fc3f0", 4, 0.2)
    s.path("M128 342 L128 292 L190 292 L190 268 L244 268 L244 300 L318 300 L318 262 L384 262 L384 342Z", "#58a653", 0.2)
    s.ellipse(336, 208, 18, 18, "#ffe08a", 0.1).rect(206, 232, 16, 28, "#d1493f", 4).ellipse(214, 226, 9, 9, "#f3c9a2")
    s.path("M74 158 L112 158 L112 360 L74 360 C54 360 38 344 38 324 L38 194 C38 174 54 158 74 158Z", "#19a7c4", 0.25)
    s.path("M438 158 L400 158 L400 360 L438 360 C458 360 474 344 474 324 L474 194 C474 174 458 158 438 158Z", "#e2504a", 0.25)
    s.ellipse(75, 208, 21, 21, "#20232a").ellipse(437, 288, 21, 21, "#20232a")
    for x, y in ((75, 268), (75, 308), (55, 288), (95, 288), (437, 190), (437, 230), (417, 210), (457, 210)):
        s.ellipse(x, y, 9, 9, "#20232a")
    return s


def wheel(s, cx, cy, r):
    s.ring(cx, cy, r, "#24262a", 9).ring(cx, cy, r - 8, "#b6bcc2", 3)
    for dx, dy in ((1, 0), (0.87, 0.5), (0.5, 0.87), (0, 1), (-0.5, 0.87), (-0.87, 0.5)):
        s.line(f"M{cx - dx * (r - 8):.1f} {cy - dy * (r - 8):.1f} L{cx + dx * (r - 8):.1f} {cy + dy * (r - 8):.1f}", "#9ba2a8", 1.5)
    return s.ellipse(cx, cy, 9, 9, "#5d646b")


def bicycle():
    s = Scene("#bcd3d9", "#b7a68d", 390)
    s.shadow(256, 434, 210, 12)
    wheel(s, 134, 336, 92)
    wheel(s, 378, 336, 92)
    red = "#c8372d"
    s.line("M134 336 L196 212 L336 212 L248 336 L134 336", red, 11).line("M196 212 L248 336", red, 11).line("M378 336 L330 178", red, 11)
    s.line("M196 212 L184 176", "#70777d", 8).path("M148 164 C168 156 206 160 220 170 C214 182 168 184 150 178Z", "#2a1c14")
    s.line("M330 178 L322 152 L362 140 C384 140 388 164 368 170", "#3b3f44", 9)
    return s.ellipse(248, 336, 25, 25, "#4b5057").line("M248 336 L272 376", "#34383c", 7).line("M258 378 L288 376", "#24262a", 9).line("M134 345 L248 360 M134 327 L248 312", "#4b5057", 3)


def dumbbells():
    s = Scene("#cfd3d8", "#5d646b", 300)
    for x, y, tilt, colour in ((60, 230, -10, "#2f5fa8"), (150, 330, 7, "#2f5fa8")):
        s.shadow(x + 150, y + 96, 170, 14)
        s.add(f'<g transform="rotate({tilt} {x + 150} {y + 40})">')
        s.rect(x + 70, y + 26, 160, 28, "#c9cfd4", 10, 0.35)
        for dx, w, h in ((0, 40, 120), (40, 34, 92), (226, 34, 92), (260, 40, 120)):
            s.rect(x + dx, y + 40 - h / 2, w, h, colour, 12, 0.3)
        s.add(f'<text x="{x + 280}" y="{y + 47}" font-family="DejaVu Sans" font-weight="bold" font-size="18" fill="#fff" text-anchor="middle">10</text></g>')
    return s


def tent():
    s = Scene("#a9d3ea", "#6f9f58", 330)
    s.ellipse(420, 90, 40, 40, "#ffe48f", 0.1)
    s.path("M0 330 L110 190 L210 330Z", "#7fa3a8").path("M150 330 L300 160 L470 330Z", "#6a9297").rect(0, 322, 512, 190, "#6f9f58", 0)
    s.shadow(256, 430, 215, 14)
    s.path("M256 150 L470 426 L42 426Z", "#e2792b", 0.25).path("M256 150 L302 426 L42 426Z", "#f0953f", 0.2)
    s.path("M236 200 C200 280 170 360 150 426 L262 426 C262 340 250 260 236 200Z", "#3c2a1d", 0.25)
    return s.line("M42 426 L14 448 M470 426 L500 448", "#f4efe2", 3).line("M256 150 L256 138", "#4b5057", 6)


def phone():
    s = Scene("#e3d5c5", "#c7a27c", 0)
    s.shadow(268, 452, 120, 22)
    s.add('<g transform="rotate(8 256 256)">')
    s.rect(156, 44, 200, 416, "#202329", 34, 0.3).rect(166, 54, 180, 396, "#3057a6", 26, 0.45)
    s.path("M166 330 C210 270 260 380 346 290 L346 424 C346 440 336 450 320 450 L192 450 C176 450 166 440 166 424Z", "#e0567b", 0.35).rect(222, 64, 68, 16, "#0f1013", 8)
    s.text(256, 152, 46, "10:24", "#ffffff").text(256, 180, 15, "Tuesday 24 November", "#e9eefc")
    for k, c in enumerate(("#58c26b", "#f2b33d", "#ff6b57", "#46a3ff")):
        s.rect(184 + k * 38, 398, 30, 30, c, 8)
    return s.add("</g>")


def earbuds():
    s = Scene("#d6e4dc", "#b9a58b", 320)
    s.shadow(256, 410, 140, 14)
    s.rect(140, 210, 232, 196, "#f4f5f6", 60, 0.14).path("M140 268 C140 190 170 110 256 110 C342 110 372 190 372 268Z", "#fafbfb", 0.1)
    s.path("M160 268 C166 200 190 136 256 136 C322 136 346 200 352 268Z", "#c5cbcf", 0.2).rect(140, 262, 232, 12, "#aeb5ba", 4)
    for x in (206, 306):
        s.ellipse(x, 226, 25, 28, "#ffffff", 0.16).rect(x - 8, 236, 16, 48, "#fbfbfb", 7, 0.12).ellipse(x, 222, 10, 12, "#3b3f44")
    return s.rect(140, 274, 232, 60, "#eef0f1", 0, 0.08).ellipse(256, 320, 5, 5, "#49c06f")


def watch():
    s = Scene("#ccd0d6", "#8e7a68", 0)
    s.shadow(262, 452, 100, 18)
    s.rect(206, 18, 100, 160, "#6b3f22", 16).rect(206, 334, 100, 160, "#6b3f22", 16)
    for y in (380, 408, 436):
        s.ellipse(256, y, 6, 4, "#3a2010")
    s.line("M216 26 L216 150 M296 26 L296 150 M216 360 L216 486 M296 360 L296 486", "#c59a70", 2, 'stroke-dasharray="7 6"')
    s.rect(370, 244, 20, 24, "#b9bfc5", 5).ellipse(256, 256, 122, 122, "#b9bfc5", 0.35).ellipse(256, 256, 102, 102, "#f6f1e4", 0.06)
    for k in range(12):
        s.add(f'<rect x="253" y="164" width="6" height="{20 if k % 3 == 0 else 11}" fill="#33302b" transform="rotate({k * 30} 256 256)"/>')
    return s.line("M256 256 L214 222", "#26241f", 8).line("M256 256 L304 196", "#26241f", 6).line("M256 274 L256 178", "#c8372d", 2).ellipse(256, 256, 8, 8, "#26241f")


def trainers():
    s = Scene("#e2e6ea", "#c2a888", 250)
    for dx, dy, colour in ((46, -62, "#2f6f8f"), (0, 30, "#2f7fa3")):
        s.add(f'<g transform="translate({dx} {dy})">')
        s.shadow(246, 386, 190, 12)
        s.path("M70 236 C90 214 130 208 150 222 C176 256 216 262 240 244 C284 296 344 308 400 316 C434 322 440 350 436 364 L64 364 C58 320 58 270 70 236Z", colour, 0.28)
        s.path("M330 304 C356 312 380 314 400 316 C434 322 440 350 436 364 L330 364 C316 340 318 320 330 304Z", shade(colour, 0.5), 0.12)
        s.path("M70 236 C90 214 130 208 150 222 L158 240 C130 236 96 246 82 270Z", "#f3f4f5", 0.1)
        for x in (176, 206):
            s.path(f"M{x} 262 L{x + 14} 264 L{x - 10} 356 L{x - 26} 356Z", "#ffffff", 0.06)
        s.rect(58, 358, 382, 28, "#fbfbf9", 13, 0.08).line("M66 378 L432 378", "#d3d6d8", 3)
        for k in range(4):
            s.line(f"M{208 + k * 27} {258 + k * 14} L{236 + k * 27} {240 + k * 15}", "#ffffff", 6)
        s.add("</g>")
    return s


def dress():
    s = Scene("#f0e6e0", "#cbb8a6", 460)
    s.line("M90 60 L422 60", "#8d949a", 8).line("M256 60 C256 34 284 34 278 56", "#6d737a", 5)
    s.path("M150 108 C200 76 312 76 362 108 L354 118 C306 92 206 92 158 118Z", "#a9743f")
    s.path("M196 100 C206 138 306 138 316 100 L330 106 C326 160 318 190 312 226 L392 440 C330 468 182 468 120 440 L200 226 C194 190 186 160 182 106Z", "#c2416b", 0.28)
    for x, y in ((232, 180), (284, 200), (222, 270), (270, 290), (318, 320), (190, 340), (240, 360), (296, 386), (348, 400), (170, 412), (226, 428), (256, 232)):
        for dx, dy in ((0, -8), (8, -1), (5, 8), (-5, 8), (-8, -1)):
            s.ellipse(x + dx, y + dy, 6, 6, "#fbe3ea", 0.05)
        s.ellipse(x, y, 5, 5, "#f3c343", 0.1)
    return s.rect(198, 216, 116, 18, "#7d2446", 6)


def pram():
    s = Scene("#dfe9ec", "#a6b39a", 390)
    s.shadow(256, 450, 160, 12)
    navy = "#34507c"
    s.line("M396 150 C430 150 440 170 430 186 L330 330", "#5b6269", 10).line("M180 320 L330 404 M330 320 L190 404", "#8f979e", 9)
    s.path("M110 230 L386 230 C386 296 346 330 290 330 L206 330 C150 330 110 296 110 230Z", navy, 0.28)
    s.path("M110 230 C110 140 170 92 246 92 L246 230Z", shade(navy, -0.1), 0.28)
    for d in ("M246 92 C214 130 202 180 204 230", "M246 92 C186 120 158 170 158 230"):
        s.line(d, shade(navy, 0.35), 3)
    s.path("M246 216 C290 200 350 206 386 230 L246 234Z", "#f4ecdc", 0.1).rect(104, 224, 288, 13, "#e9e2d2", 6)
    for x in (184, 336):
        wheel(s, x, 404, 42)
    return s


def teddy():
    s = Scene("#d4e0ee", "#c9ac86", 380)
    s.shadow(256, 452, 130, 13)
    fur = "#b57a41"
    for x in (178, 334):
        s.ellipse(x, 414, 48, 36, fur).ellipse(x, 420, 26, 19, shade(fur, 0.45), 0.1)
    s.ellipse(256, 346, 98, 100, fur, 0.26).ellipse(256, 360, 60, 66, shade(fur, 0.38), 0.12)
    s.ellipse(158, 322, 30, 62, fur, extra='transform="rotate(28 158 322)"').ellipse(354, 322, 30, 62, fur, extra='transform="rotate(-28 354 322)"')
    for x in (176, 336):
        s.ellipse(x, 118, 38, 38, fur).ellipse(x, 120, 22, 22, shade(fur, 0.4), 0.12)
    s.ellipse(256, 186, 106, 94, fur, 0.26).ellipse(256, 216, 48, 38, shade(fur, 0.5), 0.1)
    s.ellipse(218, 172, 10, 12, "#1d1510").ellipse(294, 172, 10, 12, "#1d1510").ellipse(256, 200, 16, 11, "#2a1a10")
    s.line("M256 210 L256 226 M240 232 C248 240 264 240 272 232", "#2a1a10", 4)
    return s.path("M256 284 L212 262 L212 308Z", "#c8372d").path("M256 284 L300 262 L300 308Z", "#c8372d").ellipse(256, 284, 12, 12, "#9c231b")


def dog_bed():
    s = Scene("#e6e0d2", "#b0825a", 300)
    s.shadow(256, 424, 205, 16)
    grey = "#8a8f98"
    s.ellipse(256, 352, 206, 84, shade(grey, -0.12), 0.25).ellipse(256, 338, 198, 76, grey, 0.25).ellipse(256, 344, 148, 50, "#efe6d2", 0.12)
    for cx, cy, k in ((230, 342, 1), (296, 352, 0.8)):
        s.ellipse(cx, cy + 4, 13 * k, 10 * k, "#8a6a4a", 0.1)
        for dx, dy in ((-16, -4), (-6, -13), (7, -13), (17, -4)):
            s.ellipse(cx + dx * k, cy + dy * k, 5 * k, 5.5 * k, "#8a6a4a", 0.1)
    s.path("M108 372 C150 428 362 428 404 372 C420 420 340 438 256 438 C172 438 92 420 108 372Z", shade(grey, 0.08), 0.2)
    return s.rect(226, 404, 60, 20, "#d9a441", 4).text(256, 420, 14, "REX", "#5a3a10")


def camera():
    s = Scene("#cdbfae", "#7d5a3c", 340)
    s.shadow(256, 410, 185, 14)
    s.path("M190 150 L216 112 L296 112 L322 150Z", "#b9bfc5", 0.25).rect(76, 144, 360, 76, "#c3c9ce", 14, 0.25).rect(76, 206, 360, 196, "#2b2523", 14, 0.3).rect(76, 372, 360, 32, "#c3c9ce", 12, 0.25)
    s.rect(102, 122, 54, 26, "#9aa1a7", 6).ellipse(384, 136, 26, 13, "#9aa1a7").rect(226, 124, 60, 26, "#3a4a58", 4, 0.4)
    s.ellipse(256, 284, 104, 104, "#1b1c1f", 0.4).ellipse(256, 284, 84, 84, "#3a3d42", 0.3).ellipse(256, 284, 62, 62, "#1a2440", 0.4).ellipse(256, 284, 38, 38, "#0b1020", 0.35)
    return s.add('<ellipse cx="236" cy="262" rx="17" ry="12" fill="#fff" opacity="0.6"/>').rect(372, 160, 44, 30, "#f0c94d", 4).text(256, 172, 17, "AURORA 35", "#34373b")


def fish_tank():
    s = Scene("#d9d2c6", "#6b4b33", 400)
    s.shadow(256, 412, 210, 10).rect(50, 400, 412, 112, "#57381f", 4)
    s.rect(66, 110, 380, 292, "#4fb3d9", 6, 0.35).rect(66, 352, 380, 50, "#d9bd86", 0, 0.15)
    for x, h, c in ((118, 120, "#3d9a4c"), (140, 86, "#57b562"), (356, 132, "#2f8a44"), (384, 92, "#57b562"), (334, 70, "#4aa557")):
        s.line(f"M{x} 362 C{x - 22} {362 - h * 0.35:.0f} {x + 22} {362 - h * 0.65:.0f} {x} {362 - h}", c, 10)
    for x, y, c, k in ((190, 200, "#f08a24", 1), (310, 250, "#f2c230", 0.8), (236, 296, "#e2504a", 0.7)):
        s.add(f'<g transform="translate({x} {y}) scale({k})">').path("M-36 0 L-66 -22 L-66 22Z", c).ellipse(0, 0, 42, 24, c, 0.3).ellipse(22, -6, 5, 5, "#1a1a1a").add("</g>")
    for x, y, r in ((280, 180, 6), (290, 156, 8), (276, 136, 5)):
        s.add(f'<circle cx="{x}" cy="{y}" r="{r}" fill="#fff" opacity="0.55"/>')
    s.path("M216 352 C210 316 300 316 296 352Z", "#8a8f98").rect(58, 84, 396, 32, "#24262a", 6).rect(58, 396, 396, 12, "#24262a", 3)
    return s.add('<path d="M84 130 L110 130 L96 340 L84 340Z" fill="#fff" opacity="0.25"/>')


DRAWINGS = [
    sofa, wardrobe, lamp, laptop, monitor, office_chair, fryer, hairdryer, perfume, wheelchair, guitar, books, record, drill,
    washing_machine, fridge, toaster, controller, handheld, bicycle, dumbbells, tent, phone, earbuds, watch, trainers, dress, pram,
    teddy, dog_bed, camera, fish_tank,
]  # fmt: skip


def main():
    OUT.mkdir(exist_ok=True)
    for drawing in DRAWINGS:
        png = resvg_py.svg_to_bytes(svg_string=drawing().svg(), width=2 * SIDE, height=2 * SIDE)
        picture = Image.open(io.BytesIO(bytes(png))).convert("RGB").resize((SIDE, SIDE), Image.LANCZOS)
        # A camera's grain: flat gradients look like plastic without it.
        grain = Image.effect_noise((SIDE, SIDE), 10).filter(ImageFilter.GaussianBlur(0.6)).convert("RGB")
        picture = Image.blend(picture, grain, 0.035)
        picture.save(OUT / f"{drawing.__name__.replace('_', '-')}.jpg", quality=84, optimize=True)


if __name__ == "__main__":
    main()

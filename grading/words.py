"""The words of lesson 1 in other languages: how students head their columns.

A word, or up to three words together, stands here in small letters, without accents and
without spaces. What is not here is found out from the numbers, see `families.py`.
"""

ENGLISH = {  # English → German, French, Spanish, Catalan, Portuguese, Italian, Dutch, Swedish,
    # Danish and Norwegian, Finnish, Polish, Czech and Slovak, Hungarian, Romanian, Turkish,
    # Russian and Ukrainian, Greek, Chinese, Japanese, Korean
    "input": "eingang eingabe eingangswert entree entrada ingresso input invoer ingang indata "
             "inndata syote wejscie vstup bemenet intrare girdi giris вход вхід входной εισοδος "
             "输入 入力 입력",
    "target": "ziel zielwert soll sollwert cible hedef objetivo objectiu alvo meta obiettivo doel "
              "doelwaarde mal malvarde tavoite cel cil ciel celova cilova cel tinta zielgrosse "
              "цель ціль целевое мишень στοχος 目标 目標 목표 obiettivi tgt",
    "weight": "gewicht poids peso pes gewichte vikt vaegt vægt vekt paino waga vaha suly pondere "
              "agirlik вес вага βαρος 权重 重み 가중치",
    "net": "netto nette neta netta netz weightedsum gewichtetesumme sommeponderee sumaponderada",
    "sum": "summe somme suma soma somma som summa sum soucet suma osszeg toplami сумма сума "
           "αθροισμα 总和 加权和 合計 합",
    "out": "output ausgabe ausgang sortie salida saida sortida uscita uitvoer uit ut utdata ud "
           "uddata lahto wyjscie vystup kimenet iesire cikis activation aktivierung attivazione "
           "activacion activacio ativacao activatie aktivering aktivointi aktywacja aktivace "
           "aktivacia aktivacio aktivasyon выход вихід активация активація εξοδος 输出 出力 激活 "
           "活性化 출력 활성화",
    "error": "fehler erreur error errore erro fout fel fejl feil virhe blad chyba hiba eroare hata "
             "verlust perte perdida perda perdita verlies forlust tap havio strata ztrata "
             "veszteseg kayip ошибка похибка помилка потеря σφαλμα 误差 損失 誤差 损失 오차 손실",
    "total": "gesamt ges totale totaal totalt totala samlet samlede kokonais calkowity calkowita "
             "celkem celkova celkovy spolu osszes teljes toplam общая общий полная полный "
             "загальна суммарная итого συνολικο 总 总计 合计 合計",
    "totalerror": "gesamtfehler gesamtverlust kokonaisvirhe totalfejl totalfeil totalfel 总误差 "
                  "誤差合計 総誤差 总损失",
    "learningrate": "lernrate tauxdapprentissage taux tasadeaprendizaje tasa taxadaprenentatge "
                    "taxadeaprendizado taxadeaprendizagem taxa tassodiapprendimento tasso "
                    "leersnelheid leertempo inlarningshastighet steglangd larhastighet "
                    "laeringsrate læringsrate laringsrate oppimisnopeus wspolczynnikuczenia "
                    "rychlostuceni rychlostucenia tanulasirata tanulasisebesseg ratadeinvatare "
                    "ogrenmeorani ogrenmehizi скоростьобучения темпобучения швидкістьнавчання "
                    "ρυθμοςμαθησης 学习率 学習率 학습률 schrittweite pas",
    "epoch": "epoche epoque epoca epok epoke epookki epoka epocha devir adim durchlauf schritt "
             "iteracion iteracio iteracao iterazione iteratie ronde varv omgang kierros ciklus "
             "tur krok lepes эпоха епоха шаг εποχη 轮次 轮 エポック 에폭",
    "grad": "gradient gradyan gradiente gradienti ableitung ableitungnach derivee deriveede "
            "derivada derivadade derivata derivatadi afgeleide helling derivata derivert afledt "
            "hældning haeldning gradientti pochodna derivace gradiens derivalt turev derivative "
            "derivativeof slope градиент градієнт производная похідна παραγωγος 梯度 勾配 기울기 "
            "导数",
    "d": "partial",
}  # fmt: skip
